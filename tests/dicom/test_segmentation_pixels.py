"""A segmentation is written frame by frame: the same as a library writes at once, in the memory of a frame."""

from __future__ import annotations

import highdicom
import numpy as np
import pydicom
import pytest
from bedside.dicom import open_series, write_segmentation
from bedside.dicom.segmentation_pixels import stand_in, write_pixels
from bedside.runtime.errors import InputError
from pydicom.pixels.utils import pixel_array

from .written_series import write_enhanced, write_series

NAMES = ("background", "liver", "kidney_left", "spleen")
KINDS = ("LABELMAP", "BINARY")


def random_labels(shape):
    labels = np.random.default_rng(7).integers(0, 3, shape).astype(np.uint8)  # no spleen
    labels[:, :, 1] = 0
    return labels


def own_frames(file):
    """(place along z, segment) → pixels of the frame; segment 0 of a label map."""
    made = pydicom.dcmread(file)
    frames = pixel_array(file).reshape(-1, made.Rows, made.Columns)
    found, shared = {}, made.SharedFunctionalGroupsSequence[0]
    for frame, groups in zip(frames, made.PerFrameFunctionalGroupsSequence, strict=True):
        z = float(groups.PlanePositionSequence[0].ImagePositionPatient[2])
        segment = groups.get("SegmentIdentificationSequence") or shared.get("SegmentIdentificationSequence")
        found[z, int(segment[0].ReferencedSegmentNumber) if segment else 0] = frame
    return found


def read_by_highdicom(file):
    """[plane, row, column, segment] as highdicom reads a segmentation."""
    return highdicom.seg.segread(file).get_volume(combine_segments=False, skip_overlap_checks=True).array


@pytest.mark.parametrize("write", [write_series, lambda path: write_enhanced(path, order=[3, 0, 4, 1, 2])])
def test_every_pixel_of_a_label_map_lies_in_the_frame_of_its_plane(tmp_path, write):
    write(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    labels = random_labels(series.grid.shape)
    write_segmentation(tmp_path / "seg.dcm", labels, NAMES, series, bundle_sha256="ab")
    found = own_frames(tmp_path / "seg.dcm")
    assert sorted(found) == [(100 + 2.5 * place, 0) for place in range(5)]
    for place in range(5):
        assert np.array_equal(found[100 + 2.5 * place, 0], labels[:, :, place].T)


@pytest.mark.parametrize("write", [write_series, lambda path: write_enhanced(path, order=[3, 0, 4, 1, 2])])
def test_every_pixel_of_a_binary_segmentation_lies_in_the_frame_of_its_plane_and_organ(tmp_path, write):
    write(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    labels = random_labels(series.grid.shape)  # planes whose pixels are no multiple of 8
    assert labels[:, :, 0].size % 8
    write_segmentation(tmp_path / "seg.dcm", labels, NAMES, series, bundle_sha256="ab", kind="BINARY")
    found = own_frames(tmp_path / "seg.dcm")
    assert sorted(found) == [(100 + 2.5 * place, label) for place in (0, 2, 3, 4) for label in (1, 2)]
    for (z, label), frame in found.items():
        assert np.array_equal(frame, label == labels[:, :, round((z - 100) / 2.5)].T)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [NAMES, NAMES[:2]])
def test_a_segmentation_without_any_organ_is_empty(tmp_path, names, kind):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    labels = np.zeros(series.grid.shape, np.uint8)
    write_segmentation(tmp_path / "seg.dcm", labels, names, series, bundle_sha256="ab", kind=kind)
    assert not any(frame.any() for frame in own_frames(tmp_path / "seg.dcm").values())
    assert not read_by_highdicom(tmp_path / "seg.dcm").any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_segmentation_of_a_task_of_one_organ_holds_the_organ_and_not_what_is_around_it(tmp_path, kind):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    labels = np.zeros(series.grid.shape, np.uint8)
    labels[1:3, 2:4, 2:4] = 1  # 4 pixels of 42 in the planes at 105 and 107.5 mm
    write_segmentation(tmp_path / "seg.dcm", labels, NAMES[:2], series, bundle_sha256="ab", kind=kind)
    organ = {z: frame for (z, _), frame in own_frames(tmp_path / "seg.dcm").items() if frame.any()}
    assert sorted(organ) == [105, 107.5]
    assert all(np.argwhere(frame).tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]] for frame in organ.values())
    assert read_by_highdicom(tmp_path / "seg.dcm").sum() == 8


def test_a_binary_frame_that_does_not_say_its_organ_is_refused(tmp_path):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    labels = np.ones(series.grid.shape, np.uint8)
    write_segmentation(tmp_path / "seg.dcm", labels, NAMES[:2], series, bundle_sha256="ab", kind="BINARY")
    header = pydicom.dcmread(tmp_path / "seg.dcm")
    del header.SharedFunctionalGroupsSequence[0].SegmentIdentificationSequence
    with pytest.raises(RuntimeError, match="a binary frame without a segment"):
        write_pixels(tmp_path / "other.dcm", header, labels, range(5))


def test_more_than_255_labels_take_two_bytes(tmp_path):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    labels = np.full(series.grid.shape, 300, np.uint16)
    names = ("background", *(f"structure {number}" for number in range(1, 301)))
    write_segmentation(tmp_path / "seg.dcm", labels, names, series, bundle_sha256="ab")
    assert all((frame == 300).all() for frame in own_frames(tmp_path / "seg.dcm").values())


def test_the_stand_in_says_which_labels_a_plane_has():
    planes = [np.array([[0, 2], [2, 0]]), np.array([[3, 1], [1, 1]])]
    assert stand_in(planes, 3)[:, :, 0].tolist() == [[0, 2, 0], [1, 0, 3]]


@pytest.mark.parametrize("dtype", [bool, np.uint64, ">i2"])
def test_labels_of_any_integer_type_are_written_as_they_are(tmp_path, dtype):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    labels = (random_labels(series.grid.shape) > 0).astype(dtype)
    write_segmentation(tmp_path / "seg.dcm", labels, NAMES, series, bundle_sha256="ab")
    found = own_frames(tmp_path / "seg.dcm")
    assert all(np.array_equal(found[100 + 2.5 * place, 0], labels[:, :, place].T) for place in range(5))


def test_a_segmentation_above_the_longest_element_is_refused_and_leaves_no_file(tmp_path, monkeypatch):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    size = int(np.prod(series.grid.shape))
    monkeypatch.setattr("bedside.dicom.segmentation_pixels._LARGEST", size - 1)
    with pytest.raises(InputError, match=r"write a \.nii\.gz"):
        write_segmentation(
            tmp_path / "seg.dcm", np.zeros(series.grid.shape, np.uint8), NAMES, series, bundle_sha256="ab"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["ct"]
