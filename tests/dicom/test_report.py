"""The report has the volume of every organ, with its code, and refers to segment and series."""

from __future__ import annotations

import shutil
import subprocess

import highdicom
import pydicom
import pytest
from bedside.dicom import is_own_result, open_series, write_report, write_segmentation

from .test_segmentation import HASH, NAMES, label_map
from .written_series import write_series

VOLUMES = {"liver": 12.5, "kidney_left": 0.0}


@pytest.fixture(params=["LABELMAP", "BINARY"])
def written(tmp_path, request):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    labels = label_map(series.grid.shape)
    write_segmentation(tmp_path / "seg.dcm", labels, NAMES, series, bundle_sha256=HASH, kind=request.param)
    write_report(tmp_path / "sr.dcm", VOLUMES, NAMES, series, tmp_path / "seg.dcm", bundle_sha256=HASH)
    return tmp_path


def groups(folder):
    report = highdicom.sr.srread(folder / "sr.dcm")
    return report.content.get_volumetric_roi_measurement_groups()


def test_every_organ_has_its_volume(written):
    found = {}
    for group in groups(written):
        (measurement,) = group.get_measurements()
        assert measurement.name.meaning == "Volume"
        assert measurement.unit.value == "ml"
        found[group.tracking_identifier] = measurement.value
    assert found == VOLUMES


def test_organs_have_codes_and_sides(written):
    (site,) = groups(written)[1].finding_sites
    assert (site.topographical_modifier, site.laterality.meaning) == (None, "Left")
    assert (site.value.value, site.value.scheme_designator) == ("64033007", "SCT")


def test_it_refers_to_segments_and_series(written):
    segmentation = pydicom.dcmread(written / "seg.dcm")
    made = pydicom.dcmread(written / "sr.dcm")
    items = [each.value for each in made.iterall() if each.keyword == "ReferencedSOPSequence" and each.value]
    segments = [item for (item, *_) in items if "ReferencedSegmentNumber" in item]
    assert [segment.ReferencedSegmentNumber for segment in segments] == [1, 2]
    for segment in segments:
        assert segment.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        assert segment.ReferencedSOPClassUID == segmentation.SOPClassUID
    evidence = made.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert {each.SeriesInstanceUID for each in evidence} == {"1.2.3.4.5", segmentation.SeriesInstanceUID}


def test_it_belongs_to_the_patient_and_says_what_made_it(written):
    made = pydicom.dcmread(written / "sr.dcm")
    assert (made.PatientID, made.StudyInstanceUID, made.Modality) == ("canary-4711", "1.2.3", "SR")
    assert HASH.encode() in (written / "sr.dcm").read_bytes()
    assert is_own_result(written / "sr.dcm")


def test_it_says_how_many_slices_are_interpolated_which_its_volumes_count(tmp_path):
    write_series(tmp_path / "ct", leave_out=[2])
    series = open_series(tmp_path / "ct", fill_gaps=True)
    write_segmentation(tmp_path / "seg.dcm", label_map(series.grid.shape), NAMES, series, bundle_sha256=HASH)
    write_report(tmp_path / "sr.dcm", VOLUMES, NAMES, series, tmp_path / "seg.dcm", bundle_sha256=HASH)
    assert b"interpolated_slices 1" in (tmp_path / "sr.dcm").read_bytes()


def test_a_whole_series_has_no_interpolated_slices(written):
    assert b"interpolated_slices" not in (written / "sr.dcm").read_bytes()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_dciodvfy_finds_no_error(written):
    done = subprocess.run(["dciodvfy", written / "sr.dcm"], capture_output=True, text=True)
    errors = {line for line in done.stderr.splitlines() if line.startswith("Error")}
    if pydicom.dcmread(written / "seg.dcm").SegmentationType == "LABELMAP":  # which it does not know
        errors = {line for line in errors if "Referenced SOP Class that is not segmentation" not in line}
    assert errors == set()
    assert "Comprehensive3DSR" in done.stdout + done.stderr
