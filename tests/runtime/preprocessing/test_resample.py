from __future__ import annotations

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.preprocessing.resample import resample_linear, resample_nearest
from bedside.runtime.scans.geometry import Grid
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

CODES = ["RAS", "LPS", "ASR", "IRP", "PIR", "SLA"]


def reference(array: np.ndarray, source: Grid, target: Grid, order: int) -> np.ndarray:
    """Interpolates every target voxel on its own, through world space, with scipy."""
    k, j, i = np.indices(target.shape.dhw)
    voxels = np.stack([i.ravel(), j.ravel(), k.ravel(), np.ones(i.size)])
    x, y, z, _ = np.linalg.inv(source.affine) @ target.affine @ voxels
    return map_coordinates(array.astype(float), [z, y, x], order=order, mode="nearest").reshape(i.shape)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    shape = draw(st.tuples(*[st.integers(1, 12)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.4, 6)] * 3))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = draw(st.tuples(*[st.floats(-200, 200)] * 3))
    return Grid(shape, affine).reoriented(draw(st.sampled_from(CODES)))


@settings(max_examples=80, deadline=None)
@given(
    source=grids(), code=st.sampled_from(CODES), spacing=st.tuples(*[st.floats(0.4, 6)] * 3), seed=st.integers(0, 99)
)
def test_linear_agrees_with_scipy_there_and_back(source, code, spacing, seed):
    target = source.to_task_grid(code, spacing)
    array = np.random.default_rng(seed).uniform(-1, 1, source.shape.dhw).astype(np.float32)
    there = resample_linear(array, source, target)
    assert there == pytest.approx(reference(array, source, target, 1), abs=1e-4)
    back = resample_linear(there, target, source)
    assert back == pytest.approx(reference(there, target, source, 1), abs=1e-4)


def test_linear_agrees_with_monai_spacing():
    from monai.data.meta_tensor import MetaTensor
    from monai.transforms import Spacing

    source = Grid((20, 18, 11), np.diag([0.8, 0.9, 3.0, 1]))
    array = np.random.default_rng(0).uniform(-1, 1, (11, 18, 20)).astype(np.float32)
    image = MetaTensor(np.ascontiguousarray(array.T[None]), affine=source.affine.copy())
    spaced = Spacing((1.0, 1.0, 1.5), mode="bilinear", padding_mode="border")(image)
    target = Grid(spaced.shape[1:], np.asarray(spaced.affine))
    ours = resample_linear(array, source, target)
    assert ours == pytest.approx(np.asarray(spaced[0]).T, abs=1e-4)


def test_midpoint_is_the_mean_of_its_neighbours():
    source = Grid((3, 1, 1), np.eye(4))
    affine = np.eye(4)
    affine[0, 3] = 0.5
    values = resample_linear(np.array([[[10.0, 20, 40]]], np.float32), source, Grid((2, 1, 1), affine))
    assert values.tolist() == [[[15, 30]]]


def test_beyond_the_outer_centres_the_edge_is_repeated():
    source = Grid((2, 1, 1), np.eye(4))
    affine = np.eye(4)
    affine[0, 3] = -2
    values = resample_linear(np.array([[[10.0, 20]]], np.float32), source, Grid((5, 1, 1), affine))
    assert values.tolist() == [[[10, 10, 10, 20, 20]]]


def test_the_same_grid_gives_the_same_bytes():
    grid = Grid((5, 6, 7), np.diag([0.7, 0.7, 5, 1]))
    array = np.random.default_rng(1).integers(-1024, 3000, (7, 6, 5)).astype(np.int16)
    result = resample_linear(array, grid, grid)
    assert result.dtype == np.float32
    assert (result == array).all()


def test_the_result_is_contiguous_and_never_the_input_itself():
    grid = Grid((4, 4, 4), np.eye(4))
    array = np.zeros((4, 4, 4), np.float32)
    result = resample_linear(array, grid, grid)
    assert result.flags.c_contiguous
    assert not np.shares_memory(result, array)


def test_extreme_int16_values_do_not_wrap():
    source = Grid((2, 1, 2), np.eye(4))
    array = np.array([[[-32768, 32767]], [[32767, -32768]]], np.int16)
    affine = np.eye(4)
    affine[2, 3] = 0.25
    values = resample_linear(array, source, Grid((2, 1, 1), affine))
    assert values[0, 0].tolist() == [-32768 + 0.25 * 65535, 32767 - 0.25 * 65535]


@settings(max_examples=40, deadline=None)
@given(source=grids(), code=st.sampled_from(CODES), spacing=st.tuples(*[st.floats(0.4, 6)] * 3))
def test_nearest_takes_a_source_voxel_within_half_a_voxel(source, code, spacing):
    target = source.to_task_grid(code, spacing)
    # Each voxel holds its own index along one axis, so the value tells where it came from.
    for axis in range(3):
        shape = [1, 1, 1]
        shape[axis] = -1
        index = np.broadcast_to(np.arange(source.shape[axis]).reshape(shape), source.shape).T
        taken = resample_nearest(index, source, target)
        exact = reference(index, source, target, 1)
        assert np.abs(taken - exact).max() <= 0.5 + 1e-5


def test_nearest_of_a_mirrored_file_is_identical_also_on_ties():
    source = Grid((8, 7, 6), np.diag([4, 4, 4, 1.0]))
    labels = np.random.default_rng(2).integers(0, 9, (6, 7, 8)).astype(np.uint8)
    half_a_voxel_off = source.affine.copy()
    half_a_voxel_off[:3, 3] = [2, 2, -2]
    target = Grid((6, 6, 6), half_a_voxel_off)
    mirrored = np.ascontiguousarray(labels[:, ::-1, ::-1])
    taken = resample_nearest(labels, source, target)
    assert (taken == resample_nearest(mirrored, source.reoriented("LPS"), target)).all()
    assert taken[0, 0, 0] == labels[0, 1, 1]


def test_grids_that_are_rotated_against_each_other_are_refused():
    turned = np.eye(4)
    turned[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    with pytest.raises(InputError, match="parallel"):
        resample_linear(np.zeros((4, 4, 4), np.float32), Grid((4, 4, 4), np.eye(4)), Grid((4, 4, 4), turned))


def test_an_array_of_another_shape_is_refused():
    grid = Grid((4, 5, 6), np.eye(4))
    with pytest.raises(InputError, match="shape"):
        resample_nearest(np.zeros((4, 5, 6), np.uint8), grid, grid)
