"""One scan of a folder: its name, and whose error ends the folder."""

import hashlib
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bedside.cli.segment.folder_scan import FolderScan
from bedside.runtime import BundleError, InputError, SegmentationOptions, Segmenter, UsageError


class Failing:
    """A segmenter that refuses every scan."""

    def __init__(self, error):
        self.error = error

    def reserve(self, scan, options):
        raise self.error


@pytest.mark.parametrize(("folder", "name"), [("", "ct.nii.gz"), ("p1", "p1/ct.nii.gz")])
def test_a_case_is_named_by_its_file_or_by_folder_and_file(folder, name):
    assert FolderScan(Path("scans/ct.nii.gz"), Path("out/ct.nii.gz"), folder).name == name


def test_a_name_that_is_no_utf_8_can_be_written_to_the_journal():
    case = FolderScan(Path(os.fsdecode(b"\xfc.nii")), Path(os.fsdecode(b"\xfc.nii.gz")))
    assert (case.name, case.label_map) == (r"\xfc.nii", r"\xfc.nii.gz")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError('"ct.nii.gz": truncated gzip file'), 3, "truncated gzip file"),
        (MemoryError(), 5, "memory"),
        (ZeroDivisionError("division by zero"), 1, "division by zero"),
    ],
)
def test_an_error_of_a_scan_is_its_outcome(tmp_path, error, code, message):
    outcome = FolderScan(tmp_path / "ct.nii.gz", tmp_path / "out.nii.gz").run(Failing(error), SegmentationOptions())
    assert outcome.exit_code == code
    assert message in outcome.error
    assert "ct.nii.gz" not in outcome.error


@pytest.mark.parametrize("error", [UsageError("--overlap"), BundleError("altered"), KeyboardInterrupt()])
def test_an_error_of_every_scan_ends_the_folder(tmp_path, error):
    with pytest.raises(type(error)):
        FolderScan(tmp_path / "ct.nii.gz", tmp_path / "out.nii.gz").run(Failing(error), SegmentationOptions())


@pytest.mark.parametrize("older", [False, True])
def test_an_older_label_map_is_not_taken_for_this_scans(tmp_path, older):
    case = FolderScan(tmp_path / "ct.nii.gz", tmp_path / "out.nii.gz")
    if older:
        case.output.touch()
    assert case.failed("no memory", 5).error.endswith("an older label map is still there") is older


@pytest.mark.parametrize("replaced", [True, False])
def test_the_hash_is_that_of_the_scan_that_was_segmented_whatever_is_in_its_place_by_now(
    bundle_path, scan, tmp_path, replaced
):
    """A corrected export arrives under the same name, or the folder is tidied, while the last window is run."""
    before, output = hashlib.sha256(scan.read_bytes()).hexdigest(), tmp_path / "labels.nii.gz"

    def another(done, total):
        if done == total and replaced:
            nib.save(nib.Nifti1Image(np.zeros((9, 9, 9), np.int16), np.eye(4)), tmp_path / "new.nii.gz")
            (tmp_path / "new.nii.gz").replace(scan)
        elif done == total:
            scan.unlink()

    with Segmenter.load(bundle_path, "onnxruntime", "fp32", 1) as segmenter:
        outcome = FolderScan(scan, output).run(segmenter, SegmentationOptions(), another)
    assert (outcome.exit_code, outcome.error, outcome.input_sha256) == (0, None, before)
    assert outcome.output_sha256 == hashlib.sha256(output.read_bytes()).hexdigest()
