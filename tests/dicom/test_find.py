"""The series that is meant is found among what a folder holds, and what is no scan is named."""

from __future__ import annotations

import pytest
from bedside.dicom import list_series, open_series
from bedside.runtime.errors import InputError, UsageError

from .written_series import SERIES_UID, other_series, write_series


def test_the_only_scan_is_taken_and_localisers_results_and_other_files_are_left_out(tmp_path):
    write_series(tmp_path / "deep" / "ct")
    localiser = other_series("1.2.3.4.6", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_series(tmp_path / "scout", row=(0, 1, 0), column=(0, 0, -1), leave_out=range(1, 5), change=localiser)
    result = other_series("1.2.3.4.7", SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG")
    write_series(tmp_path / "result", leave_out=range(1, 5), change=result)
    (tmp_path / "README.txt").write_text("no scan")
    assert open_series(tmp_path).grid.shape == (7, 6, 5)
    scan, scout, segmentation = list_series(tmp_path)
    assert (scan.number, scan.uid, scan.slices, scan.orientation, scan.problem) == (1, SERIES_UID, 5, "LPS", "")
    assert (scout.modality, scout.slices, scout.problem) == ("CT", 0, "a localiser (1)")
    assert (segmentation.modality, segmentation.problem) == ("SEG", "a result, not a scan (1)")


def test_a_localiser_within_the_series_is_left_out(tmp_path):
    write_series(tmp_path / "ct")
    localiser = other_series(SERIES_UID, ImageType=["DERIVED", "PRIMARY", "LOCALIZER"])
    write_series(tmp_path / "ct" / "scout", row=(0, 1, 0), column=(0, 0, -1), leave_out=range(1, 5), change=localiser)
    assert open_series(tmp_path).grid.shape == (7, 6, 5)


def test_of_two_scans_one_is_chosen_by_number_or_uid(tmp_path):
    write_series(tmp_path / "thin")
    write_series(tmp_path / "thick", step=(0, 0, 7), change=other_series("1.2.3.4.4"))
    with pytest.raises(
        InputError, match=r"2 series are scans; choose one by its number or UID \(--series\)"
    ) as refused:
        open_series(tmp_path)
    assert [(each.parameter, each.value, each.text) for each in refused.value.choices] == [
        ("series", "1", "series 1: CT, 7×6×5 voxels of 0.9×0.7×7 mm"),
        ("series", "2", "series 2: CT, 7×6×5 voxels of 0.9×0.7×2.5 mm"),
    ]
    assert open_series(tmp_path, 1).grid.spacing[2] == pytest.approx(7)
    assert open_series(tmp_path, "2").grid.spacing[2] == pytest.approx(2.5)
    assert open_series(tmp_path, "1.2.3.4.4").grid.spacing[2] == pytest.approx(7)
    for wrong in (3, 0, "1.2"):
        with pytest.raises(UsageError, match=f"there are 2, and none has the number or UID {wrong}"):
            open_series(tmp_path, wrong)
    with pytest.raises(UsageError, match=r"none has the number or UID 9{80};"):
        open_series(tmp_path, "9" * 5000)  # more digits than Python converts


def test_files_are_taken_as_they_are_given(tmp_path):
    files = write_series(tmp_path / "ct")
    assert open_series(sorted(files, key=str)[:2] + files).grid.shape == (7, 6, 5)


def test_a_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "README.txt").write_text("no scan")
    with pytest.raises(InputError, match="no DICOM file is there"):
        open_series(tmp_path)


def test_results_alone_are_no_scan(tmp_path):
    result = other_series("1.2.3.4.7", SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")
    write_series(tmp_path, change=result)
    with pytest.raises(InputError, match=r"no series is a scan \(a result, not a scan \(5\)\)"):
        open_series(tmp_path)
    with pytest.raises(InputError, match="the series is no scan"):
        open_series(tmp_path, 1)


def test_what_is_wrong_with_a_series_stands_in_its_row(tmp_path):
    write_series(tmp_path, leave_out=[1])
    (row,) = list_series(tmp_path)
    assert row.size is None
    assert "1 slice is missing" in row.problem


@pytest.mark.parametrize("given", [None, 7, [], [b"x"]])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(UsageError):
        open_series(given)
