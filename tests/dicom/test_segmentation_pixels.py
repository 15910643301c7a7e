"""A segmentation is written frame by frame: the same as a library writes at once, in the memory of a frame."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from bedside.dicom import open_series, write_segmentation
from bedside.dicom.segmentation_pixels import stand_in
from bedside.runtime.errors import InputError, UsageError
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
    found = {}
    for frame, groups in zip(frames, made.PerFrameFunctionalGroupsSequence, strict=True):
        z = float(groups.PlanePositionSequence[0].ImagePositionPatient[2])
        segment = groups.get("SegmentIdentificationSequence")
        found[z, int(segment[0].ReferencedSegmentNumber) if segment else 0] = frame
    return found


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
def test_a_segmentation_without_any_organ_is_empty(tmp_path, kind):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    labels = np.zeros(series.grid.shape, np.uint8)
    write_segmentation(tmp_path / "seg.dcm", labels, NAMES, series, bundle_sha256="ab", kind=kind)
    assert not any(frame.any() for frame in own_frames(tmp_path / "seg.dcm").values())


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


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_without_a_name_is_refused(tmp_path, label):
    write_series(tmp_path / "ct")
    series = open_series(tmp_path / "ct")
    labels = np.full(series.grid.shape, label, np.int16)
    with pytest.raises(UsageError, match=rf"expected indices from 0 to 3, got {label}"):
        write_segmentation(tmp_path / "seg.dcm", labels, NAMES, series, bundle_sha256="ab")
    assert not (tmp_path / "seg.dcm").exists()


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
