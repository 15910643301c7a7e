"""`bedside segment` takes a DICOM series as it takes a file, and says nothing of the patient."""

from __future__ import annotations

import logging

import nibabel as nib
import numpy as np
import pydicom
import pytest
from bedside.cli.main import run as bedside

from ...dicom.written_series import write_series

WORDS = ["--threads", "1", "--engine", "onnxruntime"]


def cube(size: int = 24) -> np.ndarray:
    """A bright cube in air, in stored values: HU + 1024."""
    values = np.zeros((size, size, size), np.int16)
    values[6:18, 6:18, 6:18] = 1124
    return values


def rescaled(made, _):
    made.RescaleSlope, made.RescaleIntercept = 1, -1024


@pytest.fixture
def folder(tmp_path):
    write_series(tmp_path / "ct", values=cube(), change=rescaled)
    return tmp_path / "ct"


def test_labels_are_those_of_the_same_scan_as_nifti(bundle_path, folder, tmp_path, capsys):
    from bedside.dicom import open_series
    from bedside.runtime.scans.scan import Scan

    volume = Scan(open_series(folder)).load()
    nib.save(nib.Nifti1Image(np.asarray(volume.data), volume.grid.affine), tmp_path / "ct.nii.gz")
    for scan, out in ((folder, "a.nii.gz"), (tmp_path / "ct.nii.gz", "b.nii.gz")):
        words = ["segment", str(bundle_path), "-i", str(scan), "-o", str(tmp_path / out), "-q", *WORDS]
        assert bedside(words) in (0, 6)
    own, expected = (nib.load(tmp_path / name) for name in ("a.nii.gz", "b.nii.gz"))
    assert np.allclose(own.affine, expected.affine, atol=1e-4)
    assert np.array_equal(own.dataobj, expected.dataobj)
    assert np.unique(own.dataobj).size > 1


def test_nothing_of_the_patient_is_printed_logged_or_recorded(bundle_path, folder, tmp_path, capsys, caplog):
    caplog.set_level(logging.DEBUG)
    record = tmp_path / "record.json"
    words = ["segment", str(bundle_path), "-o", str(tmp_path / "out.nii.gz"), "--record", str(record), *WORDS]
    assert bedside([*words, "-i", str(folder)]) in (0, 6)
    seen = record.read_text() + (tmp_path / "out.nii.gz").read_bytes().decode("latin-1")
    next(folder.iterdir()).write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 40)
    assert bedside([*words, "-i", str(folder)]) == 3
    seen += record.read_text() + "".join(capsys.readouterr()) + caplog.text
    assert "Doe" not in seen
    assert "canary" not in seen
    assert "IM0" not in record.read_text()  # names of files may be patients'


def test_of_several_series_one_is_chosen(bundle_path, folder, tmp_path, capsys):
    def other(made, number):
        rescaled(made, number)
        made.SeriesInstanceUID = "1.2.3.4.9"

    write_series(folder / "more", values=cube(), change=other)
    words = ["segment", str(bundle_path), "-i", str(folder), "-o", str(tmp_path / "out.nii.gz"), "-q", *WORDS]
    assert bedside(words) == 3
    assert "2 series are scans; choose one by its number or UID (--series)" in capsys.readouterr().err
    assert bedside([*words, "--series", "2"]) in (0, 6)
    assert bedside([*words, "--series", "3"]) == 2
    assert "none has the number or UID 3" in capsys.readouterr().err


def test_a_missing_slice_is_refused_and_interpolated_on_request(bundle_path, tmp_path, capsys):
    write_series(tmp_path / "ct", values=cube(), change=rescaled, leave_out=[9])
    words = ["segment", str(bundle_path), "-i", str(tmp_path / "ct"), "-o", str(tmp_path / "out.nii.gz"), "-q", *WORDS]
    assert bedside(words) == 3
    assert "1 slice is missing, between numbers 9 and 11" in capsys.readouterr().err
    assert bedside([*words, "--fill-gaps"]) == 6
    assert "1 of 24 slices were missing and are interpolated" in capsys.readouterr().err


def test_options_of_dicom_are_refused_for_other_scans(bundle_path, tmp_path, capsys):
    nib.save(nib.Nifti1Image(cube(), np.eye(4)), tmp_path / "ct.nii.gz")
    words = ["segment", str(bundle_path), "-i", str(tmp_path / "ct.nii.gz"), "-o", str(tmp_path / "out.nii.gz"), "-q"]
    assert bedside([*words, "--series", "1"]) == 2
    assert "--series and --fill-gaps go with a DICOM series" in capsys.readouterr().err


@pytest.mark.parametrize("binary", [[], ["--binary-seg"]])
def test_a_dicom_segmentation_holds_the_same_labels(bundle_path, folder, tmp_path, binary):
    words = ["segment", str(bundle_path), "-i", str(folder), "-q", *WORDS]
    assert bedside([*words, "-o", str(tmp_path / "out.nii.gz")]) in (0, 6)
    assert bedside([*words, "-o", str(tmp_path / "out.dcm"), *binary]) in (0, 6)
    made = pydicom.dcmread(tmp_path / "out.dcm")
    assert made.SegmentationType == ("BINARY" if binary else "LABELMAP")
    voxels = int(np.asarray(nib.load(tmp_path / "out.nii.gz").dataobj).sum())
    assert int(made.pixel_array.sum()) == voxels > 0
    assert bedside([*words, "-o", str(tmp_path / "out.dcm"), *binary]) in (0, 6)  # its own may be replaced


def test_a_dicom_segmentation_needs_a_series_and_replaces_no_slice(bundle_path, folder, tmp_path, capsys):
    nib.save(nib.Nifti1Image(cube(), np.diag([2.0, 2, 2, 1])), tmp_path / "ct.nii.gz")
    words = ["segment", str(bundle_path), "-q", *WORDS]
    assert bedside([*words, "-i", str(tmp_path / "ct.nii.gz"), "-o", str(tmp_path / "out.dcm")]) == 2
    assert "refers to the series it was made of" in capsys.readouterr().err
    slice_file = next(folder.iterdir())
    assert bedside([*words, "-i", str(folder), "-o", str(slice_file)]) == 2
    assert "expected nothing there, or an earlier label map" in capsys.readouterr().err
    assert bedside([*words, "-i", str(folder), "-o", str(tmp_path / "out.nii.gz"), "--binary-seg"]) == 2
    assert "--binary-seg goes with -o FILE.dcm" in capsys.readouterr().err
