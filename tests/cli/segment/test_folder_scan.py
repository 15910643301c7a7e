"""One scan of a folder: its name, and whose error ends the folder."""

import os
from pathlib import Path

import pytest
from bedside.cli.segment.folder_scan import FolderScan
from bedside.runtime import BundleError, InputError, UsageError


class Job:
    """A job whose segmentation fails."""

    def __init__(self, error):
        self.error = error

    def segment(self, *_):
        raise self.error


@pytest.mark.parametrize(("folder", "name"), [("", "ct.nii.gz"), ("p1", "p1/ct.nii.gz")])
def test_a_case_is_named_by_its_file_or_by_folder_and_file(folder, name):
    assert FolderScan(Path("scans/ct.nii.gz"), Path("out/ct.nii.gz"), folder).name == name


def test_a_name_that_is_no_utf_8_can_be_written_to_the_journal():
    assert FolderScan(Path(os.fsdecode(b"\xfc.nii")), Path("out.nii.gz")).name == r"\xfc.nii"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError('"ct.nii.gz": truncated gzip file'), 3, "truncated gzip file"),
        (MemoryError(), 5, "memory"),
        (ZeroDivisionError("division by zero"), 1, "division by zero"),
    ],
)
def test_an_error_of_a_scan_is_its_outcome(tmp_path, error, code, message):
    outcome = FolderScan(tmp_path / "ct.nii.gz", tmp_path / "out.nii.gz").run(Job(error), None)
    assert outcome.exit_code == code
    assert message in outcome.error
    assert "ct.nii.gz" not in outcome.error


@pytest.mark.parametrize("error", [UsageError("--overlap"), BundleError("altered"), KeyboardInterrupt()])
def test_an_error_of_every_scan_ends_the_folder(tmp_path, error):
    with pytest.raises(type(error)):
        FolderScan(tmp_path / "ct.nii.gz", tmp_path / "out.nii.gz").run(Job(error), None)


@pytest.mark.parametrize("older", [False, True])
def test_an_older_label_map_is_not_taken_for_this_scans(tmp_path, older):
    case = FolderScan(tmp_path / "ct.nii.gz", tmp_path / "out.nii.gz")
    if older:
        case.output.touch()
    assert case.failed("no memory", 5).error.endswith("an older label map is still there") is older
