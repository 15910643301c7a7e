"""The body on the model's grid restricts a label map on the scan's."""

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.preprocessing.body_mask import BodyMask
from bedside.runtime.scans.geometry import Grid

GRID = Grid((9, 6, 4), np.diag([2.0, 2.0, 2.0, 1.0]))


def mask(body, margin=0):
    kept = BodyMask(GRID, margin)
    for plane in body:
        kept.add(plane)
    return kept


def test_labels_outside_the_body_become_background_and_are_counted():
    body = np.zeros((4, 6, 9), np.bool_)
    body[:, :, :3] = True
    labels = np.full(GRID.shape, 2, np.uint8)
    assert mask(body).clear_outside(labels, GRID, 3).tolist() == [0, 0, 6 * 6 * 4]
    assert (labels[:3] == 2).all()
    assert not labels[3:].any()


def test_a_margin_grows_the_body_along_z():
    body = np.zeros((4, 6, 9), np.bool_)
    body[0] = True
    labels = np.ones(GRID.shape, np.uint8)
    assert mask(body, margin=1).clear_outside(labels, GRID, 2).tolist() == [0, 54 * 2]


def test_a_scan_with_a_tilt_is_cleared_where_its_closest_voxel_is_no_body():
    affine = GRID.affine.copy()
    affine[0, 2] = 2.0  # each plane is one voxel further along x
    body = np.zeros((4, 6, 9), np.bool_)
    body[:, :, :3] = True
    labels = np.ones(GRID.shape, np.uint8)
    removed = mask(body).clear_outside(labels, Grid(GRID.shape, affine), 2)
    assert [int(labels[:, 0, k].sum()) for k in range(4)] == [3, 2, 1, 0]
    assert removed[1] == 6 * (36 - 6)


def test_an_empty_body_removes_nothing():
    labels = np.ones(GRID.shape, np.uint8)
    assert not mask(np.zeros((4, 6, 9), np.bool_)).clear_outside(labels, GRID, 2).any()


def test_missing_and_misshapen_planes_are_refused():
    with pytest.raises(InputError, match="expected 4 planes, got 0"):
        BodyMask(GRID).clear_outside(np.ones(GRID.shape, np.uint8), GRID, 2)
    with pytest.raises(InputError, match="got plane 1 of shape"):
        BodyMask(GRID).add(np.ones((2, 2), np.bool_))
