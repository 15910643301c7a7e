"""Labels from scores, on the scan's grid."""

from __future__ import annotations

from itertools import pairwise, permutations, product

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.labels.restore import LabelRestorer, scores_to_labels
from bedside.runtime.preprocessing.preprocess import labels_to_model_grid
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.volume import Volume
from bedside.runtime.windows.blend import ScoreBlock
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

ORIENTATIONS = [
    "".join(pair[side] for pair, side in zip(order, sides, strict=True))
    for order in permutations(("RL", "AP", "SI"))
    for sides in product((0, 1), repeat=3)
]


def best_by_scipy(scores: np.ndarray, grid: Grid, source: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels [X, Y, Z] and the lead of the best class, each voxel interpolated on its own."""
    i, j, k = np.indices(source.shape)
    to_grid = np.linalg.inv(grid.affine) @ source.affine
    x, y, z, _ = to_grid @ np.stack([i.ravel(), j.ravel(), k.ravel(), np.ones(i.size)])
    values = np.stack([map_coordinates(c.astype(float), [z, y, x], order=1, mode="nearest") for c in scores])
    ordered = np.sort(values, axis=0)
    return values.argmax(axis=0).reshape(source.shape), (ordered[-1] - ordered[-2]).reshape(source.shape)


def block(scores: np.ndarray, z: slice, y: slice, uncovered: bool = False) -> ScoreBlock:
    """Some planes and rows of scores [C, D, H, W], in a frame of garbage."""
    part = scores[:, z, y]
    classes, planes, rows, width = part.shape
    framed = np.full((classes, 1 + planes, 1 + rows, width), np.nan, np.float32)
    framed[:, 1:, 1:] = part
    return ScoreBlock(z.start, y.start, framed, uncovered)


def test_labels_come_back_unchanged_where_the_grid_is_the_scans_own():
    labels = np.random.default_rng(0).integers(0, 5, (9, 8, 7)).astype(np.uint8)
    volume = Volume(labels, Grid(labels.shape, np.array([[0, 0, 3.0, 5], [-2, 0, 0, 6], [0, 2.5, 0, 7], [0, 0, 0, 1]])))
    grid = volume.grid.reoriented("RAS")
    on_grid = labels_to_model_grid(volume, grid)
    one_hot = (on_grid[None] == np.arange(5)[:, None, None, None]).astype(np.float32)
    assert (scores_to_labels(one_hot, grid, volume.grid) == labels).all()


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 10)] * 3),
    old=st.tuples(*[st.floats(0.5, 5)] * 3),
    new=st.tuples(*[st.floats(0.5, 5)] * 3),
    classes=st.integers(2, 5),
    code=st.sampled_from(ORIENTATIONS),
    smooth=st.booleans(),
    seed=st.integers(0, 9),
)
def test_restored_labels_are_the_argmax_of_interpolated_scores(shape, old, new, classes, code, smooth, seed):
    source = Grid(shape, np.diag([*old, 1.0])).reoriented(code)
    grid = source.to_task_grid("RAS", new)
    rng = np.random.default_rng(seed)
    if smooth:  # few borders between classes: most voxels take the short way
        slopes = rng.normal(size=(classes, 3))
        scores = np.tensordot(slopes, np.indices(grid.shape.dhw) / 5, axes=1).astype(np.float32)
    else:
        scores = rng.normal(size=(classes, *grid.shape.dhw)).astype(np.float32)
    expected, lead = best_by_scipy(scores, grid, source)
    found = scores_to_labels(scores, grid, source)
    assert (found == expected)[lead > 1e-4].all()


def test_a_class_that_is_second_everywhere_can_win_between_voxels():
    # Half-way between the two voxels: class 0 and 1 average 5, class 2 has 6 on both sides.
    grid, source = Grid((2, 1, 1), np.eye(4)), Grid((3, 1, 1), np.diag([0.5, 1, 1, 1]))
    scores = np.array([[10, 0], [0, 10], [6, 6]], np.float32)[:, None, None]
    assert scores_to_labels(scores, grid, source)[:, 0, 0].tolist() == [0, 2, 1]


def test_equal_scores_go_to_the_lower_class():
    grid = Grid((2, 2, 2), np.eye(4))
    assert not scores_to_labels(np.ones((3, 2, 2, 2), np.float32), grid, grid).any()


@pytest.mark.parametrize(("classes", "dtype"), [(256, np.uint8), (257, np.uint16), (300, np.uint16)])
def test_many_classes_do_not_wrap(classes, dtype):
    grid = Grid((2, 1, 1), np.eye(4))
    scores = np.zeros((classes, 1, 1, 2), np.float32)
    scores[classes - 1, 0, 0, 1] = 1
    labels = scores_to_labels(scores, grid, grid)
    assert labels.dtype == dtype
    assert labels[:, 0, 0].tolist() == [0, classes - 1]


def cuts(size: int, parts: int) -> list[slice]:
    edges = np.linspace(0, size, min(parts, size) + 1).round().astype(int)
    return [slice(int(start), int(stop)) for start, stop in pairwise(edges)]


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    spacing=st.tuples(*[st.sampled_from([0.7, 1.0, 2.3])] * 3),
    code=st.sampled_from(ORIENTATIONS),
    parts=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 9),
)
def test_blocks_give_the_labels_of_the_whole(shape, spacing, code, parts, seed):
    source = Grid(shape, np.diag([1.0, 1.0, 1.0, 1.0])).reoriented(code)
    grid = source.to_task_grid("RAS", spacing)
    scores = np.random.default_rng(seed).normal(size=(4, *grid.shape.dhw)).astype(np.float32)
    restorer = LabelRestorer(4, grid, source)
    for z, y in product(cuts(scores.shape[1], parts[0]), cuts(scores.shape[2], parts[1])):
        restorer.add(block(scores, z, y))
    assert (restorer.labels() == scores_to_labels(scores, grid, source)).all()


def test_two_layers_may_come_row_by_row():
    source = Grid((6, 7, 9), np.eye(4))
    grid = source.to_task_grid("RAS", (1.3, 0.8, 0.7))
    scores = np.random.default_rng(4).normal(size=(3, *grid.shape.dhw)).astype(np.float32)
    restorer = LabelRestorer(3, grid, source)
    for y, z in product(cuts(scores.shape[2], 3), cuts(scores.shape[1], 2)):
        restorer.add(block(scores, z, y))
    assert (restorer.labels() == scores_to_labels(scores, grid, source)).all()


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    spacing=st.tuples(*[st.sampled_from([0.7, 1.0, 2.3])] * 3),
    code=st.sampled_from(ORIENTATIONS),
    parts=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    row_by_row=st.booleans(),
    seed=st.integers(0, 99),
)
def test_between_blocks_that_no_window_covered_the_labels_are_those_of_the_whole(
    shape, spacing, code, parts, row_by_row, seed
):
    source = Grid(shape, np.eye(4)).reoriented(code)
    grid = source.to_task_grid("RAS", spacing)
    rng = np.random.default_rng(seed)
    scores = rng.normal(scale=10, size=(3, *grid.shape.dhw)).astype(np.float32)
    z_cuts, y_cuts = cuts(scores.shape[1], parts[0]), cuts(scores.shape[2], parts[1])
    places = [(z, y) for y, z in product(y_cuts, z_cuts)] if row_by_row else [*product(z_cuts, y_cuts)]
    uncovered = [bool(rng.random() < 0.7) for _ in places]
    for (z, y), left_out in zip(places, uncovered, strict=True):
        if left_out:
            scores[:, z, y] = np.array([10, 0, 0]).reshape(3, 1, 1, 1)
    restorer = LabelRestorer(3, grid, source)
    for (z, y), left_out in zip(places, uncovered, strict=True):
        restorer.add(block(scores, z, y, left_out))
    assert (restorer.labels() == scores_to_labels(scores, grid, source)).all()


def test_blocks_that_no_window_covered_are_not_looked_at_where_those_before_are_uncovered_too():
    """Their scores say class 1 here, which no block without a window does."""
    grid = Grid((2, 4, 4), np.eye(4))
    scores = np.zeros((2, 4, 4, 2), np.float32)
    scores[1] = 1
    restorer = LabelRestorer(2, grid, grid)
    for z, y in product(cuts(4, 2), cuts(4, 2)):
        restorer.add(block(scores, z, y, uncovered=True))
    assert not restorer.labels().any()


def test_blocks_that_are_missing_or_of_another_grid_are_refused():
    grid = Grid((2, 2, 2), np.eye(4))
    scores = np.zeros((2, 2, 2, 2), np.float32)
    restorer = LabelRestorer(2, grid, grid)
    restorer.add(block(scores, slice(0, 1), slice(0, 2)))
    with pytest.raises(InputError, match="expected 4 rows of voxels, got 2"):
        restorer.labels()
    with pytest.raises(InputError, match="expected blocks within"):
        restorer.add(block(np.zeros((3, 2, 2, 2), np.float32), slice(1, 2), slice(0, 2)))
    with pytest.raises(InputError, match="expected blocks within"):
        restorer.add(block(np.zeros((2, 3, 2, 2), np.float32), slice(2, 3), slice(0, 2)))
    with pytest.raises(InputError, match="D, H, W"):
        scores_to_labels(np.zeros((2, 2, 2, 3), np.float32), grid, grid)
