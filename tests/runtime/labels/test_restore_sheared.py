"""Labels of a sheared scan from scores on a straight grid, against scipy as an independent reference."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
from bedside.runtime.labels.restore import LabelRestorer, scores_to_labels
from bedside.runtime.preprocessing import voxel_mapping
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.windows.blend import ScoreBlock
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

CODES = ["RAS", "LPS", "ASR", "IRP", "PIR", "SLA"]


def sheared(shape, seed: int) -> Grid:
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ (np.eye(3) + rng.uniform(-0.4, 0.4, (3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = directions / np.linalg.norm(directions, axis=0) * rng.uniform(0.6, 4, 3)
    affine[:3, 3] = rng.uniform(-99, 99, 3)
    return Grid(shape, affine)


def random_scores(grid: Grid, classes: int, smooth: bool, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if not smooth:
        return rng.normal(size=(classes, *grid.shape.dhw)).astype(np.float32)
    slopes = rng.normal(size=(classes, 3))  # few borders between classes: most voxels lie in a uniform cell
    return np.tensordot(slopes, np.indices(grid.shape.dhw) / 5, axes=1).astype(np.float32)


def best_by_scipy(scores: np.ndarray, grid: Grid, source: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Labels [X, Y, Z] and the lead of the best class, each voxel interpolated on its own."""
    i, j, k = np.indices(source.shape)
    voxels = np.stack([i.ravel(), j.ravel(), k.ravel(), np.ones(i.size)])
    x, y, z, _ = np.linalg.inv(grid.affine) @ source.affine @ voxels
    values = np.stack([map_coordinates(c.astype(float), [z, y, x], order=1, mode="nearest") for c in scores])
    ordered = np.sort(values, axis=0)
    return values.argmax(axis=0).reshape(source.shape), (ordered[-1] - ordered[-2]).reshape(source.shape)


def in_blocks(scores: np.ndarray, grid: Grid, source: Grid, parts: tuple[int, int]) -> np.ndarray:
    """The labels from blocks whose frames hold garbage."""
    restorer = LabelRestorer(len(scores), grid, source)
    for z, y in product(*(cuts(size, count) for size, count in zip(scores.shape[1:3], parts, strict=True))):
        part = scores[:, z, y]
        framed = np.full((len(part), 1 + part.shape[1], 1 + part.shape[2], part.shape[3]), np.nan, np.float32)
        framed[:, 1:, 1:] = part
        restorer.add(ScoreBlock(z.start, y.start, framed))
    return restorer.labels()


def cuts(size: int, parts: int) -> list[slice]:
    edges = np.linspace(0, size, min(parts, size) + 1).round().astype(int)
    return [slice(int(start), int(stop)) for start, stop in pairwise(edges)]


CASES = {
    "shape": st.tuples(*[st.integers(1, 9)] * 3),
    "spacing": st.tuples(*[st.floats(0.8, 4)] * 3),
    "code": st.sampled_from(CODES),
    "classes": st.integers(2, 5),
    "smooth": st.booleans(),
    "seed": st.integers(0, 99),
}


@settings(max_examples=60, deadline=None)
@given(**CASES)
def test_labels_are_the_argmax_of_scores_interpolated_through_the_affine(shape, spacing, code, classes, smooth, seed):
    source = sheared(shape, seed)
    grid = source.straightened(code, spacing)
    scores = random_scores(grid, classes, smooth, seed)
    expected, lead = best_by_scipy(scores, grid, source)
    found = scores_to_labels(scores, grid, source)
    assert (found == expected)[lead > 1e-4].all()


@settings(max_examples=60, deadline=None)
@given(**CASES, parts=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_blocks_give_the_labels_of_the_whole(shape, spacing, code, classes, smooth, seed, parts):
    source = sheared(shape, seed)
    grid = source.straightened(code, spacing)
    scores = random_scores(grid, classes, smooth, seed)
    assert (in_blocks(scores, grid, source, parts) == scores_to_labels(scores, grid, source)).all()


def test_parts_of_a_plane_give_the_labels_of_the_whole(monkeypatch):
    source = sheared((19, 17, 13), 5)
    grid = source.straightened("RAS", (2, 2, 2))
    scores = random_scores(grid, 3, False, 5)
    expected = in_blocks(scores, grid, source, (3, 2))
    monkeypatch.setattr(voxel_mapping, "_TILE_VOXELS", 40)
    assert (in_blocks(scores, grid, source, (3, 2)) == expected).all()
