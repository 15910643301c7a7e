"""Beside the segmentation of a series: a report of its volumes, and contours."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
from bedside.cli.main import run as bedside
from bedside.cli.segment.dicom_output import DicomOutput
from bedside.runtime import ResourceError

from .test_scan_input import WORDS, cube, folder  # noqa: F401 - a fixture


def test_report_and_contours_are_those_of_the_result(bundle_path, folder, tmp_path, capsys):  # noqa: F811
    words = ["segment", str(bundle_path), "-i", str(folder), "-o", str(tmp_path / "out.dcm"), "--json", *WORDS]
    more = ["--sr", str(tmp_path / "sr.dcm"), "--rtstruct", str(tmp_path / "rt.dcm")]
    assert bedside([*words, *more]) in (0, 6)
    volumes = json.loads(capsys.readouterr().out)["volumes_ml"]
    groups = highdicom.sr.srread(tmp_path / "sr.dcm").content.get_volumetric_roi_measurement_groups()
    found = {group.tracking_identifier: group.get_measurements()[0].value for group in groups}
    assert found == pytest.approx(volumes, abs=1e-3)
    assert max(found.values()) > 0
    contours = pydicom.dcmread(tmp_path / "rt.dcm")
    assert [region.ROIName for region in contours.StructureSetROISequence] == list(volumes)
    assert bedside([*words, *more]) in (0, 6)  # its own may be replaced
    for option, other, kind in (
        ("-o", "sr.dcm", "label map"),
        ("--sr", "rt.dcm", "report"),
        ("--rtstruct", "out.dcm", "structure set"),
    ):
        given = ["-o", str(tmp_path / "new.dcm"), option, str(tmp_path / other)]
        assert bedside(["segment", str(bundle_path), "-i", str(folder), "-q", *WORDS, *given]) == 2
        assert f"expected nothing there, or an earlier {kind}, got another file" in capsys.readouterr().err


def test_contours_go_with_nifti_labels_too(bundle_path, folder, tmp_path):  # noqa: F811
    words = ["segment", str(bundle_path), "-i", str(folder), "-o", str(tmp_path / "out.nii.gz"), "-q", *WORDS]
    assert bedside([*words, "--rtstruct", str(tmp_path / "rt.dcm")]) in (0, 6)
    assert (tmp_path / "out.nii.gz").exists()
    assert pydicom.dcmread(tmp_path / "rt.dcm").Modality == "RTSTRUCT"


@pytest.mark.parametrize(("option", "writes"), [("--sr", "write_report"), ("--rtstruct", "write_structure_set")])
def test_the_record_has_the_label_map_that_was_written_before_a_report_failed(
    bundle_path,
    folder,  # noqa: F811
    tmp_path,
    monkeypatch,
    option,
    writes,
):
    def full(path, *_, **__):
        raise ResourceError(f'"{path.name}": cannot be written (No space left on device)')

    monkeypatch.setattr(f"bedside.dicom.{writes}", full)
    words = ["segment", str(bundle_path), "-i", str(folder), "-o", str(tmp_path / "doe.dcm"), "-q", *WORDS]
    assert bedside([*words, option, str(tmp_path / "x.dcm"), "--record", str(tmp_path / "record.json")]) == 5
    outcome = json.loads((tmp_path / "record.json").read_text())["outcome"]
    assert outcome["output_sha256"] == hashlib.sha256((tmp_path / "doe.dcm").read_bytes()).hexdigest()
    assert (outcome["exit_code"], outcome["engine"]) == (5, "onnxruntime")
    assert outcome["error"].endswith(": cannot be written (No space left on device)")
    assert "x.dcm" not in outcome["error"]
    assert outcome["volumes_ml"]


@pytest.mark.parametrize("option", ["-o", "--sr", "--rtstruct"])
def test_no_result_replaces_a_slice_of_its_own_series(bundle_path, folder, tmp_path, capsys, option):  # noqa: F811
    slices = {path: path.read_bytes() for path in folder.iterdir()}
    given = {"-o": str(tmp_path / "o.dcm"), "--sr": str(tmp_path / "sr.dcm"), option: str(sorted(slices)[2])}
    words = [word for pair in given.items() for word in pair]
    assert bedside(["segment", str(bundle_path), "-i", str(folder), "-q", "--force", *WORDS, *words]) == 2
    assert "is a file of the series that is segmented; choose another path" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == slices


def test_what_does_not_fit_is_refused_before_the_work(bundle_path, folder, tmp_path, capsys):  # noqa: F811
    nib.save(nib.Nifti1Image(cube(), np.eye(4)), tmp_path / "ct.nii.gz")
    words = ["segment", str(bundle_path), "-q", *WORDS]
    series, nifti = ["-i", str(folder)], ["-i", str(tmp_path / "ct.nii.gz")]
    seg, labels, other = ["-o", str(tmp_path / "o.dcm")], ["-o", str(tmp_path / "o.nii.gz")], str(tmp_path / "x.dcm")
    for given, said in (
        ([*series, *labels, "--sr", other], "--sr goes with -o FILE.dcm"),
        ([*nifti, *labels, "--rtstruct", other], "--rtstruct goes with a DICOM series"),
        ([*series, *seg, "--sr", seg[1]], "need files of their own"),
        ([*series, *seg, "--sr", other, "--rtstruct", other], "need files of their own"),
        ([*series, *seg, "--sr", str(tmp_path / "x.txt")], "expected a name ending in .dcm"),
        ([*series, *seg, "--rtstruct", str(next(folder.iterdir()))], "expected nothing there"),
        (["-i", str(tmp_path), "-o", str(tmp_path / "out"), "--sr", other], "go with one DICOM series"),
    ):
        assert bedside([*words, *given]) == 2, given
        assert said in capsys.readouterr().err
    assert not (tmp_path / "o.dcm").exists()


def test_a_series_that_permits_no_result_is_refused_before_the_work(
    bundle_path,
    folder,  # noqa: F811
    tmp_path,
    monkeypatch,
    capsys,
):
    for file in folder.iterdir():
        made = pydicom.dcmread(file)
        del made.SOPClassUID, made.file_meta.MediaStorageSOPClassUID
        made.save_as(file, enforce_file_format=False)
    monkeypatch.setattr("bedside.runtime.reserved_scan.ReservedScan.run", lambda *_, **__: pytest.fail("was run"))
    words = ["segment", str(bundle_path), "-i", str(folder), "-q", *WORDS, "-o"]
    assert bedside([*words, str(tmp_path / "out.dcm")]) == 3
    assert bedside([*words, str(tmp_path / "out.nii.gz"), "--rtstruct", str(tmp_path / "rt.dcm")]) == 3
    assert "has no SOPClassUID, so no result refers to it" in capsys.readouterr().err


def test_memory_of_the_results_is_part_of_what_a_series_needs(bundle_path, folder, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setattr("bedside.runtime.memory.memory_limit.free_memory", lambda: 100 * 2**20)
    words = ["segment", str(bundle_path), "-i", str(folder), "-q", *WORDS]
    assert bedside([*words, "-o", str(tmp_path / "out.nii.gz")]) in (0, 6)  # the scan itself takes less than 1 MiB
    assert bedside([*words, "-o", str(tmp_path / "out.dcm")]) == 5
    assert "MiB are free" in capsys.readouterr().err
    assert not (tmp_path / "out.dcm").exists()


def test_names_of_written_files_are_taken_out_of_messages():
    output = DicomOutput(report=Path("doe-sr.dcm"), contours=Path("doe-rt.dcm"))
    message = '"doe.dcm": full; "doe-sr.dcm": full; "doe-rt.dcm": full'
    assert output.without_names(message, Path("doe.dcm")) == "the label map: full; the report: full; the contours: full"
