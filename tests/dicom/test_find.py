"""The series that is meant is found among what a folder holds, and what is no scan is named."""

from __future__ import annotations

import os
from pathlib import Path

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


def test_a_localiser_within_the_series_is_left_out_with_a_warning(tmp_path):
    write_series(tmp_path / "ct")
    localiser = other_series(SERIES_UID, ImageType=["DERIVED", "PRIMARY", "LOCALIZER"])
    write_series(tmp_path / "ct" / "scout", row=(0, 1, 0), column=(0, 0, -1), leave_out=range(1, 5), change=localiser)
    opened = open_series(tmp_path)
    assert opened.grid.shape == (7, 6, 5)
    assert opened.warnings == ("files of the series that are no slices are left out: a localiser (1)",)


def test_slices_at_the_end_that_have_no_place_do_not_vanish_silently(tmp_path):
    write_series(tmp_path, change=lambda made, at: made.pop("ImagePositionPatient") if at > 2 else None)
    opened = open_series(tmp_path)
    assert opened.grid.shape == (7, 6, 3)
    (warning,) = opened.warnings
    assert warning.endswith("left out: an image without a place in the patient (2)")


@pytest.mark.parametrize(
    ("lose", "what"),
    [
        (lambda file: file.write_bytes(b""), "an empty file"),
        (lambda file: file.write_bytes(file.read_bytes()[:100]), "the first 100 bytes of a file"),
        (lambda file: file.write_bytes(bytes(file.stat().st_size)), "a file that begins with nothing but zeros"),
        (lambda file: file.write_text("version https://git-lfs.github.com/spec/v1\n"), "a git-lfs pointer"),
        (lambda file: file.unlink() or file.symlink_to("gone"), r"a file that cannot be read \(No such file"),
    ],
)
def test_a_file_beside_slices_that_lost_its_content_is_named(tmp_path, lose, what):
    files = write_series(tmp_path)
    lose(files[-1])
    for look in (open_series, list_series):
        with pytest.raises(InputError, match=rf'"{files[-1].name}": {what}.* is among the slices; copy'):
            look(tmp_path)
    lose(files[-2])
    with pytest.raises(InputError, match="and 1 others like it are among the slices"):
        open_series(tmp_path)


def test_a_file_or_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    files = write_series(tmp_path / "ct")
    real, walk = Path.open, os.walk

    def opened(self, *arguments, **options):
        if self == files[-1]:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", opened)
        with pytest.raises(InputError, match=rf'"{files[-1].name}": a file that cannot be read \(Permission denied\)'):
            open_series(tmp_path)

    def walked(top, onerror, **options):
        onerror(PermissionError(13, "Permission denied", f"{top}/more"))
        return walk(top, **options)

    monkeypatch.setattr(os, "walk", walked)
    with pytest.raises(InputError, match=r'"more": the folder cannot be read \(Permission denied\)'):
        open_series(tmp_path)


def test_a_slice_that_lost_its_content_in_a_folder_of_its_own_is_named(tmp_path):
    for number, file in enumerate(write_series(tmp_path / "all")):
        (tmp_path / "ct" / f"{number}").mkdir(parents=True)
        file.rename(tmp_path / "ct" / f"{number}" / "image")
    assert open_series(tmp_path / "ct").grid.shape == (7, 6, 5)
    (tmp_path / "ct" / "4" / "image").write_bytes(b"")
    with pytest.raises(InputError, match='"image": an empty file is among the slices'):
        open_series(tmp_path / "ct")


def test_slices_behind_a_link_to_a_folder_do_not_vanish(tmp_path):
    files = write_series(tmp_path / "store")
    (tmp_path / "ct" / "part1").mkdir(parents=True)
    for file in files[:3]:
        file.rename(tmp_path / "ct" / "part1" / file.name)
    (tmp_path / "ct" / "part2").symlink_to(tmp_path / "store")
    assert open_series(tmp_path / "ct").grid.shape == (7, 6, 5)
    (tmp_path / "ct" / "part2").unlink()
    (tmp_path / "ct" / "part2").symlink_to("gone")
    with pytest.raises(InputError, match=r'"part2": a file that cannot be read \(No such file'):
        open_series(tmp_path / "ct")


def test_other_files_beside_slices_are_no_fault(tmp_path):
    write_series(tmp_path / "ct")
    (tmp_path / "ct" / ".keep").touch()
    (tmp_path / "ct" / "notes.txt").write_text("seen")
    (tmp_path / "ct" / "0815").write_bytes(b"\0\x05\x16\x07" + bytes(160))  # from a zip of macOS
    (tmp_path / "ct" / "view.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "DONE").touch()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "__init__.py").touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "lock").touch()
    assert open_series(tmp_path).warnings == ()


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


@pytest.mark.parametrize("name", ["PatientID", "StudyInstanceUID"])
@pytest.mark.parametrize("uid", ["", SERIES_UID])
def test_slices_of_two_patients_or_studies_are_two_series_whatever_their_uid(tmp_path, name, uid):
    def change(made, at):
        made.SeriesInstanceUID = uid
        if at > 2:
            setattr(made, name, "1.2.3.4.99")

    write_series(tmp_path, change=change)
    assert sorted(each.slices for each in list_series(tmp_path)) == [2, 3]
    with pytest.raises(InputError, match="2 series are scans; choose one"):
        open_series(tmp_path)
    with pytest.raises(UsageError, match="2 series have the UID"):
        open_series(tmp_path, uid)
    assert {open_series(tmp_path, number).grid.shape.z for number in (1, 2)} == {2, 3}


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


def test_a_fault_in_one_series_stands_in_its_row_and_keeps_no_other_from_being_chosen(tmp_path):
    write_series(tmp_path / "ct")
    write_series(tmp_path / "broken", change=other_series("1.2.3.4.6", PixelSpacing=[0, 0]))
    sound, broken = list_series(tmp_path)
    assert (sound.slices, sound.problem) == (5, "")
    assert (broken.slices, broken.size) == (5, None)
    assert "the DICOM header has no valid PixelSpacing" in broken.problem
    assert open_series(tmp_path, SERIES_UID).grid.shape == (7, 6, 5)
    with pytest.raises(InputError, match="no valid PixelSpacing; export the series again"):
        open_series(tmp_path, "1.2.3.4.6")
    with pytest.raises(InputError, match="2 series are scans; choose one") as refused:  # it may be meant
        open_series(tmp_path)
    assert refused.value.choices[1].text == "series 2: CT, 5 slices that cannot be segmented"


def test_a_slice_with_a_fault_does_not_vanish_from_its_series(tmp_path):
    write_series(tmp_path, change=lambda made, at: made.pop("PixelSpacing") if at == 4 else None)
    with pytest.raises(InputError, match="no valid PixelSpacing"):
        open_series(tmp_path)
    (row,) = list_series(tmp_path)
    assert (row.slices, row.size) == (5, None)


def test_a_file_that_does_not_say_its_series_may_be_a_slice_of_any(tmp_path):
    write_series(tmp_path / "ct")
    (cut,) = write_series(tmp_path / "cut", leave_out=range(1, 5))
    cut.write_bytes(cut.read_bytes()[:300])
    for look in (list_series, open_series):
        with pytest.raises(InputError, match="has no valid Rows"):
            look(tmp_path)


def test_what_is_wrong_with_a_series_stands_in_its_row(tmp_path):
    write_series(tmp_path, leave_out=[1])
    (row,) = list_series(tmp_path)
    assert row.size is None
    assert "1 slice is missing" in row.problem


@pytest.mark.parametrize("given", [None, 7, [], [b"x"]])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(UsageError):
        open_series(given)
