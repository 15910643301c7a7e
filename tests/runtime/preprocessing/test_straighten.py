"""Between a sheared grid and a straight one, against scipy as an independent reference."""

from __future__ import annotations

import tracemalloc
from itertools import permutations, product

import numpy as np
import pytest
from bedside.runtime.preprocessing.body_mask import BodyMask
from bedside.runtime.preprocessing.preprocess import labels_to_model_grid, to_model_input
from bedside.runtime.preprocessing.resample import resample_linear, resample_nearest
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.volume import Volume
from bedside.runtime.task import Foreground, Intensity, Modality
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

CODES = [
    "".join(pair[side] for pair, side in zip(order, sides, strict=True))
    for order in permutations(("RL", "AP", "SI"))
    for sides in product((0, 1), repeat=3)
]


def gantry(degrees: float, shape=(20, 22, 14), spacing=(2.0, 2.0, 5.0)) -> Grid:
    """A scan whose planes are tilted about x while the table moves along z, as dcm2niix writes it."""
    x, y, z = spacing
    tilt = np.radians(degrees)
    affine = np.diag([x, y * np.cos(tilt), z, 1.0])
    affine[2, 1] = y * np.sin(tilt)
    affine[:3, 3] = -17, 31, 250
    return Grid(shape, affine)


@st.composite
def sheared_grids(draw: st.DrawFn) -> Grid:
    shape = draw(st.tuples(*[st.integers(1, 9)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.6, 5)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    directions = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ (np.eye(3) + rng.uniform(-0.4, 0.4, (3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = directions / np.linalg.norm(directions, axis=0) * spacing
    affine[:3, 3] = rng.uniform(-200, 200, 3)
    return Grid(shape, affine)


def places(source: Grid, target: Grid) -> np.ndarray:
    """Where the target's voxels lie in the source, z, y, x, [3, Z, Y, X]."""
    k, j, i = np.indices(target.shape.dhw)
    voxels = np.stack([i.ravel(), j.ravel(), k.ravel(), np.ones(i.size)])
    x, y, z, _ = np.linalg.inv(source.affine) @ target.affine @ voxels
    return np.stack([z, y, x]).reshape(3, *i.shape)


def reference(array: np.ndarray, source: Grid, target: Grid, order: int = 1) -> np.ndarray:
    return map_coordinates(array.astype(float), places(source, target), order=order, mode="nearest")


@settings(max_examples=60, deadline=None)
@given(
    source=sheared_grids(),
    code=st.sampled_from(CODES),
    spacing=st.tuples(*[st.floats(0.8, 5)] * 3),
    seed=st.integers(0, 9),
)
def test_linear_agrees_with_scipy_there_and_back(source, code, spacing, seed):
    target = source.straightened(code, spacing)
    array = np.random.default_rng(seed).uniform(-1, 1, source.shape.dhw).astype(np.float32)
    there = resample_linear(array, source, target)
    assert there == pytest.approx(reference(array, source, target), abs=1e-4)
    assert resample_linear(there, target, source) == pytest.approx(reference(there, target, source), abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(source=sheared_grids(), code=st.sampled_from(CODES), spacing=st.tuples(*[st.floats(0.8, 5)] * 3))
def test_nearest_takes_a_source_voxel_within_half_a_voxel(source, code, spacing):
    target = source.straightened(code, spacing)
    for axis in range(3):  # each voxel holds its own index along one axis, so the value tells where it came from
        index = np.indices(source.shape.dhw)[axis]
        taken = resample_nearest(index, source, target)
        exact = np.clip(places(source, target)[axis], 0, source.shape[2 - axis] - 1)
        assert np.abs(taken - exact).max() <= 0.5 + 1e-5


def test_beyond_the_field_of_view_stands_what_was_asked_for():
    source = gantry(20)
    target = source.straightened("RAS", (2, 2, 2))
    array = np.random.default_rng(3).uniform(1, 2, source.shape.dhw).astype(np.float32)
    inside = np.ones(target.shape.dhw, bool)
    for place, size in zip(places(source, target), array.shape, strict=True):
        inside &= (place > -0.5) & (place < size - 0.5)
    assert 0.1 < inside.mean() < 0.9
    assert ((resample_linear(array, source, target, outside=-1) > 0) == inside).all()
    assert ((resample_nearest(array.astype(np.uint8), source, target, outside=0) > 0) == inside).all()


def test_extreme_int16_values_do_not_wrap():
    source = gantry(20, (2, 2, 2))
    array = np.array([[[-32768, 32767], [32767, -32768]], [[32767, -32768], [-32768, 32767]]], np.int16)
    target = source.straightened("RAS", (1, 1, 1))
    assert resample_linear(array, source, target) == pytest.approx(reference(array, source, target), abs=0.1)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_padding_is_raised_without_a_copy_of_the_scan(dtype):
    source = gantry(20, (60, 60, 60))
    array = np.random.default_rng(6).integers(-2000, 1000, source.shape.dhw).astype(dtype)
    target = source.straightened("RAS", (40, 40, 40))  # few voxels, so that a copy of the scan would be most of all
    tracemalloc.start()
    try:
        raised = resample_linear(array, source, target, floor=-100.5)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(raised, resample_linear(np.maximum(array, dtype(-100.5)), source, target))
    assert taken < array.nbytes / 2


@pytest.mark.parametrize("degrees", [-30, -10, 5, 20])
def test_every_storage_order_of_a_tilted_scan_gives_the_same_input(degrees, task):
    scan = Volume(
        np.random.default_rng(4).integers(-1000, 1000, (8, 9, 7)).astype(np.int16), gantry(degrees, (8, 9, 7))
    )
    wanted = to_model_input(scan, task)
    for code in CODES:
        grid = scan.grid.reoriented(code)
        data = np.empty(grid.shape, np.int16)
        step = np.linalg.inv(grid.affine) @ scan.grid.affine
        index = np.rint(
            np.einsum("ab,bxyz->axyz", step[:3, :3], np.indices(scan.data.shape)) + step[:3, 3, None, None, None]
        )
        data[tuple(index.astype(int))] = scan.data
        found = to_model_input(Volume(data, grid), task)
        assert found.grid.shape == wanted.grid.shape
        assert found.grid.distance(wanted.grid) < 1e-9
        assert (found.array == wanted.array).all()
        assert (found.body == wanted.body).all()


def test_corners_without_values_are_air_and_do_not_count_for_the_range(task):
    """An MR whose range is read off its body: bright everywhere, and the straight grid's corners hold nothing."""
    scan = Volume(np.random.default_rng(5).uniform(50, 100, (30, 30, 12)), gantry(25, (30, 30, 12)))
    mr = task.replaced(
        modality=Modality.MR,
        foreground=Foreground(above=0.6, relative=True),
        intensity=Intensity(clip=(0.0, 100.0), clip_percentiles=True, scale_to=(0.0, 1.0)),
    )
    found = to_model_input(scan, mr)
    plain = to_model_input(Volume(scan.data, gantry(0, (30, 30, 12))), mr)
    assert found.array[~found.body].size > 0.1 * found.array.size
    assert found.array[~found.body].max() < 1e-6
    assert np.median(found.array[found.body]) == pytest.approx(np.median(plain.array[plain.body]), abs=0.1)


def test_labels_of_a_tilted_scan_come_along_with_its_image(task):
    """Cases for training: the label map is brought onto the grid of the prepared image."""
    grid = gantry(18, (24, 26, 16), (3, 3, 4))
    labels = np.zeros(grid.shape, np.uint8)
    labels[6:18, 7:19, 4:12] = 1
    image = np.where(labels, 900, -100).astype(np.int16)
    prepared = to_model_input(Volume(image, grid), task)
    found = labels_to_model_grid(Volume(labels, grid), prepared.grid)
    assert found.shape == prepared.array.shape
    assert (found == 1).sum() * prepared.grid.voxel_ml == pytest.approx(labels.sum() * grid.voxel_ml, rel=0.05)
    assert ((prepared.array > 0.7) == found).mean() > 0.99


def test_a_body_mask_on_the_straight_grid_clears_a_tilted_label_map():
    source = gantry(-25, (12, 14, 10), (3, 3, 4))
    grid = source.straightened("RAS", (3, 3, 3))
    mask = np.zeros(grid.shape.dhw, bool)
    mask[4:12, 5:9, 3:8] = True
    body = BodyMask(grid)
    for plane in mask:
        body.add(plane)
    labels = np.random.default_rng(6).integers(0, 3, source.shape).astype(np.uint8)
    z, y, x = (np.clip(np.rint(p), 0, n - 1).astype(int) for p, n in zip(places(grid, source), mask.shape, strict=True))
    expected = np.where(mask[z, y, x].T, labels, 0)
    removed = [0, *(int(((labels == label) & (expected != label)).sum()) for label in (1, 2))]
    assert body.clear_outside(labels, source, 3).tolist() == removed
    assert (labels == expected).all()
