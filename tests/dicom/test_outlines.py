"""Outlines run along the edges of pixels, enclose exactly the mask, and have no holes of their own."""

from __future__ import annotations

import numpy as np
from bedside.dicom.outlines import outlines
from matplotlib.path import Path


def area(outline):
    rows, columns = outline.T
    return 0.5 * float(columns @ np.roll(rows, -1) - rows @ np.roll(columns, -1))


def filled(outline, shape):
    """The pixels whose centre lies within an outline, by even and odd crossings."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    closed = Path(np.vstack([outline, outline[:1]])[:, ::-1], closed=True)
    return closed.contains_points(np.stack([columns.ravel(), rows.ravel()], 1)).reshape(shape)


def test_a_rectangle_has_its_four_corners():
    mask = np.zeros((5, 6), bool)
    mask[1:3, 2:5] = True
    (outline,) = outlines(mask)
    assert outline.tolist() == [[0.5, 1.5], [0.5, 4.5], [2.5, 4.5], [2.5, 1.5]]


def test_an_empty_mask_has_none():
    assert outlines(np.zeros((3, 3), bool)) == []


def test_parts_that_touch_at_a_corner_are_two():
    assert len(outlines(np.array([[True, False], [False, True]]))) == 2


def test_a_hole_is_joined_by_a_channel_of_no_width():
    mask = np.ones((5, 5), bool)
    mask[2, 3] = False
    (outline,) = outlines(mask)
    assert area(outline) == 24
    assert np.array_equal(filled(outline, mask.shape), mask)


def test_any_mask_is_enclosed_exactly():
    rng = np.random.default_rng(7)
    for _ in range(150):
        mask = rng.random(rng.integers(1, 14, 2)) < rng.uniform(0.1, 0.95)
        found = outlines(mask)
        assert sum(map(area, found)) == mask.sum()
        assert min(map(area, found), default=1) > 0
        covered = sum((filled(each, mask.shape).astype(int) for each in found), np.zeros(mask.shape, int))
        assert np.array_equal(covered, mask.astype(int))
