"""The segmentation lies where the label map lies, by its own frames, and refers to the series it was made of."""

from __future__ import annotations

import itertools
import warnings
from functools import partial

import numpy as np
import pydicom
import pytest
from bedside.dicom import is_own_result, open_series, write_segmentation
from bedside.runtime.errors import InputError
from pydicom.pixels.utils import pixel_array

from .written_series import STEP, numbers, write_enhanced, write_series

NAMES = ("background", "liver", "kidney_left")
HASH = "ab" * 32
KINDS = ("LABELMAP", "BINARY")


def label_map(shape):
    """Two boxes in opposite corners, of different sizes along every axis."""
    labels = np.zeros(shape, np.uint8)
    labels[:3, :2, 1:3] = 1
    labels[4:, 3:, 2:] = 2
    return labels


def centroids(labels, affine):
    """Label → centroid in RAS mm."""
    places = {label: np.argwhere(labels == label).mean(0) for label in np.unique(labels)[1:]}
    return {label: affine[:3, :3] @ place + affine[:3, 3] for label, place in places.items()}


def own_centroids(file):
    """Segment number → centroid in RAS mm, from the frames of a SEG alone, with pydicom and nothing else."""
    made = pydicom.dcmread(file)
    frames = pixel_array(file).reshape(-1, made.Rows, made.Columns)
    shared = made.SharedFunctionalGroupsSequence[0]
    points = {}
    for frame, own in zip(frames, made.PerFrameFunctionalGroupsSequence, strict=True):
        position = np.array(own.PlanePositionSequence[0].ImagePositionPatient, float)
        directions = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
        spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
        for value in np.unique(frame[frame > 0]):
            binary = made.SegmentationType == "BINARY"
            label = own.SegmentIdentificationSequence[0].ReferencedSegmentNumber if binary else int(value)
            rows, columns = np.nonzero(frame == value)
            offsets = np.outer(columns * spacing[1], directions[:3]) + np.outer(rows * spacing[0], directions[3:])
            points.setdefault(label, []).extend(position + offsets)
    return {label: np.mean(where, 0) * (-1, -1, 1) for label, where in points.items()}


def check(folder_or_file, out, kind):
    series = open_series(folder_or_file)
    labels = label_map(series.grid.shape)
    write_segmentation(out, labels, NAMES, series, bundle_sha256=HASH, kind=kind)
    expected, found = centroids(labels, series.grid.affine), own_centroids(out)
    assert found.keys() == expected.keys()
    for label, place in expected.items():
        assert np.abs(found[label] - place).max() < 1e-3


@pytest.mark.parametrize("axes", itertools.permutations(range(3), 2), ids=str)
@pytest.mark.parametrize("signs", itertools.product((1, -1), repeat=3), ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_centroids_by_the_frames_are_those_of_the_label_map_in_every_orientation(tmp_path, axes, signs, kind):
    row, column = np.eye(3)[axes[0]] * signs[0], np.eye(3)[axes[1]] * signs[1]
    write_series(tmp_path / "ct", row=row, column=column, step=np.cross(row, column) * STEP * signs[2])
    check(tmp_path / "ct", tmp_path / "seg.dcm", kind)


@pytest.mark.parametrize("kind", KINDS)
def test_centroids_of_a_tilted_series(tmp_path, kind):
    angle = np.radians(15)
    write_series(tmp_path / "ct", column=(0, np.cos(angle), np.sin(angle)), step=(0, 0, STEP))
    check(tmp_path / "ct", tmp_path / "seg.dcm", kind)


@pytest.mark.parametrize("kind", KINDS)
def test_centroids_of_a_multi_frame_file_whose_frames_are_in_another_order(tmp_path, kind):
    check(write_enhanced(tmp_path / "ct.dcm", order=[3, 0, 4, 1, 2]), tmp_path / "seg.dcm", kind)


GROUPS = ("PlaneOrientationSequence", "PixelMeasuresSequence")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("per_frame", [GROUPS[:1], GROUPS[1:], GROUPS])
def test_centroids_of_a_multi_frame_file_whose_frames_state_their_orientation_and_spacing(tmp_path, kind, per_frame):
    source = write_enhanced(tmp_path / "ct.dcm", order=[3, 0, 4, 1, 2], per_frame=per_frame)
    check(source, tmp_path / "seg.dcm", kind)


def test_centroids_of_a_multi_frame_file_without_shared_groups(tmp_path):
    def change(made, _):
        del made.SharedFunctionalGroupsSequence

    source = write_enhanced(tmp_path / "ct.dcm", per_frame=GROUPS, change=change)
    check(source, tmp_path / "seg.dcm", "BINARY")


def test_centroids_of_a_series_whose_orientations_differ_in_the_last_digit(tmp_path):
    def change(made, number):
        made.ImageOrientationPatient = [1, 0, 0.0001 * number, 0, 1, 0]

    write_series(tmp_path / "ct", change=change)
    check(tmp_path / "ct", tmp_path / "seg.dcm", "LABELMAP")


def test_several_multi_frame_files_are_refused_by_their_number(tmp_path):
    for number in range(2):
        change = partial(half_of_a_series, half=number)
        write_enhanced(tmp_path / f"{number}.dcm", numbers((2, 6, 7)), change=change)
    series = open_series(tmp_path)
    labels = label_map(series.grid.shape)
    with pytest.raises(InputError, match=r"refers to one multi-frame file alone, and the series has 2 files; write"):
        write_segmentation(tmp_path / "seg.dcm", labels, NAMES, series, bundle_sha256=HASH)


def half_of_a_series(made, _, half):
    for number, frame in enumerate(made.PerFrameFunctionalGroupsSequence, start=2 * half):
        frame.PlanePositionSequence[0].ImagePositionPatient = [-30, -40, 100 + number * STEP]


def test_planes_of_missing_slices_are_left_out(tmp_path):
    write_series(tmp_path / "ct", leave_out=[1])
    series = open_series(tmp_path / "ct", fill_gaps=True)
    labels = np.ones(series.grid.shape, np.uint8)
    write_segmentation(tmp_path / "seg.dcm", labels, NAMES, series, bundle_sha256=HASH, kind="BINARY")
    made = pydicom.dcmread(tmp_path / "seg.dcm")
    places = (own.PlanePositionSequence[0].ImagePositionPatient for own in made.PerFrameFunctionalGroupsSequence)
    assert sorted(place[2] for place in places) == [100 + number * STEP for number in (0, 2, 3, 4)]


@pytest.mark.parametrize("kind", KINDS)
def test_it_belongs_to_the_patient_and_says_what_made_it(tmp_path, kind):
    files = write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    labels = label_map(series.grid.shape)
    write_segmentation(tmp_path / "seg.dcm", labels, NAMES, series, bundle_sha256=HASH, kind=kind)
    made, source = pydicom.dcmread(tmp_path / "seg.dcm"), pydicom.dcmread(files[0])
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        assert made[name].value == source[name].value
    assert made.SeriesInstanceUID != source.SeriesInstanceUID
    kidney = next(each for each in made.SegmentSequence if each.SegmentLabel == "kidney_left")
    kind_of = kidney.SegmentedPropertyTypeCodeSequence[0]
    assert (kind_of.CodeValue, kind_of.CodingSchemeDesignator) == ("64033007", "SCT")
    assert kind_of.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    algorithm = kidney.SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmName == "bedside"
    assert HASH in algorithm.AlgorithmParameters
    referenced = made.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == source.SeriesInstanceUID
    assert len(referenced.ReferencedInstanceSequence) == 5


def test_two_segmentations_of_one_series_have_uids_of_their_own(tmp_path):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    for name in ("a.dcm", "b.dcm"):
        write_segmentation(tmp_path / name, label_map(series.grid.shape), NAMES, series, bundle_sha256=HASH)
    first, second = (pydicom.dcmread(tmp_path / name) for name in ("a.dcm", "b.dcm"))
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID


def test_what_anonymised_files_leave_blank_is_filled_in(tmp_path):
    def blank(made, _):
        made.SOPClassUID = made.SOPInstanceUID = made.StudyInstanceUID = made.SeriesInstanceUID = ""
        made.SpecificCharacterSet = made.PatientName = made.PatientID = ""

    write_series(tmp_path / "ct", change=blank)
    check(tmp_path / "ct", tmp_path / "seg.dcm", "BINARY")
    made = pydicom.dcmread(tmp_path / "seg.dcm")
    assert made.StudyInstanceUID
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID


def test_no_warning_shows_a_name(tmp_path):
    write_series(tmp_path / "ct", change=lambda made, _: setattr(made, "PatientName", "Doe"))
    series = open_series(tmp_path / "ct")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_segmentation(tmp_path / "s.dcm", label_map(series.grid.shape), NAMES, series, bundle_sha256=HASH)


def test_a_sex_that_is_none_becomes_blank(tmp_path):
    write_series(tmp_path / "ct", change=lambda made, _: setattr(made, "PatientSex", "NONSENSE"))
    series = open_series(tmp_path / "ct")
    write_segmentation(tmp_path / "s.dcm", label_map(series.grid.shape), NAMES, series, bundle_sha256=HASH)
    assert pydicom.dcmread(tmp_path / "s.dcm").PatientSex == ""


def test_only_own_segmentations_are_own(tmp_path):
    files = write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    write_segmentation(tmp_path / "s.dcm", label_map(series.grid.shape), NAMES, series, bundle_sha256=HASH)
    assert is_own_result(tmp_path / "s.dcm")
    assert not is_own_result(files[0])
    (tmp_path / "text.dcm").write_text("no DICOM")
    assert not is_own_result(tmp_path / "text.dcm")
