"""What an export says of unusual scans that it read."""

from pathlib import Path

from bedside.export.cases import ExportCases
from bedside.export.scan_warnings import ScanWarnings

CASES = ExportCases(calibration=["a.nii", "b.nii"], gate=[("c.nii", "d.nii")])


def test_scans_of_an_unusual_kind_are_told_of_once_however_often_they_are_read():
    warnings = ScanWarnings(CASES)
    for image, said in (("a.nii", ()), ("b.nii", ("looks like MR",)), ("b.nii", ("looks like MR",)), ("c.nii", ())):
        warnings.note(Path(image), said)
    assert warnings.lines == ("1 of 2 calibration scans are unusual, such as: looks like MR",)
    warnings.note(Path("c.nii"), ("no organ was found",))
    assert warnings.lines[1:] == ("1 of 1 scans of the gate are unusual, such as: no organ was found",)


def test_a_scan_without_an_organ_is_one_of_the_gate():
    warnings = ScanWarnings(ExportCases(gate=[("a.nii", "b.nii")], without_organ=[("c.nii", "d.nii")]))
    warnings.note(Path("c.nii"), ("looks like MR",))
    assert warnings.lines == ("1 of 1 scans of the gate are unusual, such as: looks like MR",)


def test_what_one_export_read_is_not_told_of_another_of_the_same_cases():
    first, second = ScanWarnings(CASES), ScanWarnings(CASES)
    first.note(Path("a.nii"), ("looks like MR",))
    assert second.lines == ()
