"""Contours lie where the label map lies, and refer to the slices that they are drawn on."""

from __future__ import annotations

import itertools
import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from bedside.dicom import is_own_result, open_series, write_structure_set
from bedside.runtime.errors import InputError

from .test_segmentation import HASH, NAMES, centroids, label_map
from .written_series import SPACING, STEP, write_enhanced, write_series


def write(source, out, labels=None):
    series = open_series(source)
    labels = label_map(series.grid.shape) if labels is None else labels
    write_structure_set(out, labels, NAMES, series, bundle_sha256=HASH)
    return series, labels, pydicom.dcmread(out)


def own_moments(made):
    """Region number → its area in mm² over all slices, and its centroid in RAS mm, from the contours alone."""
    moments = {}
    for region in made.ROIContourSequence:
        for contour in region.get("ContourSequence", []):
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            origin, total, middle = points[0], 0.0, np.zeros(3)
            normal = sum(np.cross(a - origin, b - origin) for a, b in itertools.pairwise([*points, points[0]]))
            normal = normal / np.linalg.norm(normal)
            for a, b in itertools.pairwise([*points, points[0]]):
                share = 0.5 * normal @ np.cross(a - origin, b - origin)
                total, middle = total + share, middle + share * (origin + a + b) / 3
            area, place = moments.get(region.ReferencedROINumber, (0.0, np.zeros(3)))
            moments[region.ReferencedROINumber] = area + total, place + middle
    return {number: (area, place / area * (-1, -1, 1)) for number, (area, place) in moments.items()}


def check(source, out):
    series, labels, made = write(source, out)
    expected, found = centroids(labels, series.grid.affine), own_moments(made)
    assert found.keys() == expected.keys()
    for label, place in expected.items():
        area, own = found[label]
        assert np.abs(own - place).max() < 1e-3
        assert area == pytest.approx((labels == label).sum() * SPACING[0] * SPACING[1], rel=1e-3)


@pytest.mark.parametrize("axes", itertools.permutations(range(3), 2), ids=str)
@pytest.mark.parametrize("signs", itertools.product((1, -1), repeat=3), ids=str)
def test_area_and_centroid_are_those_of_the_label_map_in_every_orientation(tmp_path, axes, signs):
    row, column = np.eye(3)[axes[0]] * signs[0], np.eye(3)[axes[1]] * signs[1]
    write_series(tmp_path / "ct", row=row, column=column, step=np.cross(row, column) * STEP * signs[2])
    check(tmp_path / "ct", tmp_path / "rt.dcm")


def test_area_and_centroid_of_a_tilted_series(tmp_path):
    angle = np.radians(15)
    write_series(tmp_path / "ct", column=(0, np.cos(angle), np.sin(angle)), step=(0, 0, STEP))
    check(tmp_path / "ct", tmp_path / "rt.dcm")


def test_frames_of_a_multi_frame_file_are_named(tmp_path):
    source = write_enhanced(tmp_path / "ct.dcm", order=[3, 0, 4, 1, 2])
    check(source, tmp_path / "rt.dcm")
    made = pydicom.dcmread(tmp_path / "rt.dcm")
    positions = {}
    for contour in made.ROIContourSequence[0].ContourSequence:
        positions[contour.ContourImageSequence[0].ReferencedFrameNumber] = float(contour.ContourData[2])
    expected = {number + 1: 100 + place * STEP for number, place in enumerate([3, 0, 4, 1, 2])}
    assert positions == {number: z for number, z in expected.items() if number in positions}


def test_it_names_who_gave_the_patient_an_identifier_and_the_study_where_the_series_does(tmp_path):
    def change(made, _):
        made.IssuerOfPatientID, made.StudyDescription = "HOSPITAL-A", "CT abdomen"

    write_series(tmp_path / "ct", change=change)
    _, _, made = write(tmp_path / "ct", tmp_path / "rt.dcm")
    assert (made.IssuerOfPatientID, made.StudyDescription) == ("HOSPITAL-A", "CT abdomen")
    write_series(tmp_path / "other")
    _, _, made = write(tmp_path / "other", tmp_path / "rt.dcm")
    assert "IssuerOfPatientID" not in made
    assert "StudyDescription" not in made


def test_every_contour_names_the_slice_that_it_lies_in(tmp_path):
    files = write_series(tmp_path / "ct")
    _, _, made = write(tmp_path / "ct", tmp_path / "rt.dcm")
    heights = {
        pydicom.dcmread(file).SOPInstanceUID: float(pydicom.dcmread(file).ImagePositionPatient[2]) for file in files
    }
    for region in made.ROIContourSequence:
        for contour in region.ContourSequence:
            own = heights[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
            assert set(np.array(contour.ContourData, float)[2::3]) == {own}
            assert contour.NumberOfContourPoints == len(contour.ContourData) // 3


def test_it_belongs_to_the_patient_and_says_what_made_it(tmp_path):
    files = write_series(tmp_path / "ct")
    _, _, made = write(tmp_path / "ct", tmp_path / "rt.dcm")
    source = pydicom.dcmread(files[0])
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        assert made[name].value == source[name].value
    assert [region.ROIName for region in made.StructureSetROISequence] == list(NAMES[1:])
    assert HASH in made.StructureSetROISequence[0].ROIDescription
    code = made.RTROIObservationsSequence[1].RTROIIdentificationCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("64033007", "SCT")
    assert is_own_result(tmp_path / "rt.dcm")


def test_an_organ_that_is_not_there_has_a_region_without_contours(tmp_path):
    write_series(tmp_path / "ct")
    shape = open_series(tmp_path / "ct").grid.shape
    _, _, made = write(tmp_path / "ct", tmp_path / "rt.dcm", np.ones(shape, np.uint8))
    assert len(made.StructureSetROISequence) == 2
    assert "ContourSequence" not in made.ROIContourSequence[1]


def test_a_contour_of_more_than_64_kib_is_whole(tmp_path):
    values = np.zeros((3, 120, 120), np.int16)
    write_series(tmp_path / "ct", values=values)
    series = open_series(tmp_path / "ct")
    labels = np.zeros(series.grid.shape, np.uint8)
    labels[::2] = labels[:, 0] = 1  # a comb
    _, _, made = write(tmp_path / "ct", tmp_path / "rt.dcm", labels)
    (area, _) = own_moments(made)[1]
    assert area == pytest.approx(labels.sum() * SPACING[0] * SPACING[1], rel=1e-4)


def test_a_label_that_no_structure_set_can_hold_is_refused_and_leaves_no_file(tmp_path):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    labels = label_map(series.grid.shape)
    with pytest.raises(InputError, match="no DICOM result holds a backslash"):
        write_structure_set(tmp_path / "rt.dcm", labels, [*NAMES[:2], "liver\\vein"], series, bundle_sha256=HASH)
    assert not (tmp_path / "rt.dcm").exists()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_dciodvfy_finds_no_error(tmp_path):
    write_series(tmp_path / "ct")
    write(tmp_path / "ct", tmp_path / "rt.dcm")
    done = subprocess.run(["dciodvfy", tmp_path / "rt.dcm"], capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []
    assert "RTStructureSet" in done.stdout + done.stderr
