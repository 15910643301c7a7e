"""Whatever grid is read can be written, and the file reads back on it without any option."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import Result
from bedside.runtime.errors import InputError
from bedside.runtime.scans import nifti
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import read_labels, read_volume, write_volume
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st


def affine_of(spacing, angle, axis, shear, offset, flips, order) -> np.ndarray:
    """A turned, sheared, flipped affine; ``angle`` in radians, ``shear`` [3] of y and z against x, and z against y."""
    axis = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.cross(np.eye(3), axis)
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    sheared = np.eye(3)
    sheared[0, 1], sheared[0, 2], sheared[1, 2] = shear
    directions = turn @ sheared @ np.eye(3)[:, order] * flips
    affine = np.eye(4)
    affine[:3, :3] = directions / np.linalg.norm(directions, axis=0) * spacing
    affine[:3, 3] = offset
    return affine


AFFINES = st.builds(
    affine_of,
    spacing=st.tuples(*[st.one_of(st.floats(0.01, 100), st.floats(0.3, 6), st.sampled_from([0.01, 100.0]))] * 3),
    angle=st.one_of(st.just(0.0), st.floats(0, np.pi), st.floats(0, 1e-3), st.just(np.pi)),
    axis=st.tuples(*[st.floats(0.1, 1)] * 3),
    shear=st.tuples(*[st.one_of(st.just(0.0), st.floats(-2e-3, 2e-3), st.floats(-1, 1))] * 3),
    offset=st.tuples(*[st.one_of(st.floats(-500, 500), st.floats(-1e5, 1e5))] * 3),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    order=st.permutations(range(3)),
)
SHAPES = st.tuples(*[st.sampled_from([1, 2, 3, 40, 300])] * 3).filter(lambda shape: np.prod(shape) < 50_000)
FORMS = [("sform",), ("qform",), ("sform", "qform")]


def same(found: Grid, wanted: Grid) -> bool:
    """Within a hundredth of a voxel at every corner."""
    return found.coincides(wanted)


def written(folder, grid: Grid) -> Grid:
    """The grid of a label map, written by `Result.save` and read as anybody reads it."""
    labels = np.zeros(grid.shape, np.uint8)
    labels[-1, -1, -1] = 3
    Result(labels, grid, {}, {}, (), "", "", 0, 0).save(folder / "labels.nii")
    found = read_labels(folder / "labels.nii")
    assert np.array_equal(found.data, labels)
    return found.grid


@settings(max_examples=100, deadline=None)
@given(
    affine=AFFINES, shape=SHAPES, kind=st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]), forms=st.sampled_from(FORMS)
)
def test_every_geometry_that_is_read_is_written_and_read_again(tmp_path_factory, affine, shape, kind, forms):
    folder = tmp_path_factory.mktemp("affine")
    image = kind(np.zeros(shape, np.int8), None)
    for form in forms:
        getattr(image, f"set_{form}")(affine, code=1)
    if forms == ("sform",):
        image.header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    nib.save(image, folder / "ct.nii")
    try:
        grid = read_volume(folder / "ct.nii").grid
    except InputError:
        assume(False)
        return
    assert same(written(folder, grid), grid)


@settings(max_examples=100, deadline=None)
@given(affine=AFFINES, shape=SHAPES)
@example(affine=np.diag([0.01, 0.01, 0.01, 1]), shape=(3, 3, 3))  # in single precision below 0.01, and out of range
@example(affine=np.array([[0.01, 0, 0, 99_999.99], [0, 0.01, 0, 0], [0, 0, 0.01, 0], [0, 0, 0, 1]]), shape=(3, 3, 3))
def test_every_grid_in_memory_is_written_and_read_again(tmp_path_factory, affine, shape):
    try:
        grid = Grid(shape, affine)
    except InputError:
        assume(False)
        return
    assert same(written(tmp_path_factory.mktemp("affine"), grid), grid)


def test_a_grid_that_single_precision_does_not_resolve_is_written_as_nifti_2(tmp_path):
    affine = np.diag([0.01, 0.01, 0.01, 1])
    affine[0, 3] = 99_999.99
    written(tmp_path, Grid((3, 3, 3), affine))
    assert isinstance(nib.load(tmp_path / "labels.nii"), nib.Nifti2Image)
    written(tmp_path, Grid((3, 3, 3), np.diag([0.7, 0.7, 5, 1])))
    assert type(nib.load(tmp_path / "labels.nii")) is nib.Nifti1Image


def test_a_shear_too_slight_to_matter_but_over_a_long_scan_costs_the_qform(tmp_path):
    """As in nnU-Net #756: 300 slices of 5 mm, sheared by 0.03°, half a voxel of 0.7 mm at the end."""
    affine = np.diag([0.7, 0.7, 5, 1])
    affine[1, 2] = 0.0025
    grid = Grid((4, 4, 300), affine)
    assert not grid.is_sheared
    assert same(written(tmp_path, grid), grid)
    assert nib.load(tmp_path / "labels.nii").get_qform(coded=True)[1] == 0
    short = Grid((4, 4, 10), affine)
    assert same(written(tmp_path, short), short)
    assert nib.load(tmp_path / "labels.nii").get_qform(coded=True)[1] == 1


def test_a_label_map_too_large_to_be_read_again_is_refused_before_the_work(bundle_path, monkeypatch):
    from bedside.runtime import Segmenter

    monkeypatch.setattr(nifti, "MAX_VOLUME_BYTES", 999)
    hu = np.zeros((10, 10, 10), np.int16)
    hu[3:6] = 100
    with (
        Segmenter.load(bundle_path, "onnxruntime", "fp32", threads=1) as segmenter,
        pytest.raises(InputError, match="10×10×10 voxels of uint8; crop the scan"),
    ):
        segmenter.segment_array(hu, np.diag([3, 3, 3, 1]), progress=lambda *_: pytest.fail("work began"))


def test_more_than_can_be_read_again_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(nifti, "MAX_VOLUME_BYTES", 999)
    with pytest.raises(InputError, match="crop the scan"):
        write_volume(tmp_path / "a.nii", np.zeros((10, 10, 10), np.uint8), Grid((10, 10, 10), np.eye(4)))
    assert list(tmp_path.iterdir()) == []
