"""The windows that hold part of a region on another grid are those that a person counts in millimetres."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.runtime import Grid
from bedside.runtime.windows.axis_order import MODEL_ORDER, AxisOrder
from bedside.runtime.windows.blend import ScoreBlock
from bedside.runtime.windows.organ_region import OrganOdds, OrganRegion
from bedside.runtime.windows.plan import plan_windows

SCAN = Grid((20, 16, 40), np.diag([3.0, 3.0, 3.0, 1.0]))
FINE = SCAN.to_task_grid("RAS", (3.0, 3.0, 3.0))
COARSE = SCAN.to_task_grid("RAS", (6.0, 6.0, 6.0))  # 10 × 8 × 20 voxels: each is 2 × 2 × 2 of the fine ones
ORDERS = [MODEL_ORDER, AxisOrder((2, 0, 1)), AxisOrder((1, 2, 0))]


def region(*organs, margin_mm=0.0, grid=COARSE):
    mask = np.zeros(grid.shape.dhw, np.bool_)
    for z, y, x in organs:
        mask[z, y, x] = True
    return OrganRegion(mask, grid, margin_mm)


def held(a_region, patch=(8, 8, 8), overlap=0.5, order=MODEL_ORDER, fine=FINE):
    plan = plan_windows(order.sizes(fine.shape.dhw), order.sizes(patch), overlap)
    windows = a_region.windows(plan, order, fine)
    return plan, [start for start in plan.starts if windows.has_organ(start)]


def test_a_coarse_voxel_is_held_by_the_windows_that_cover_it():
    _, starts = held(region((10, 4, 5)))  # fine voxels 20–21 along z, 8–9 along y, 10–11 along x
    assert {start[0] for start in starts} == {16, 20}
    assert {start[1] for start in starts} == {4, 8}
    assert {start[2] for start in starts} == {4, 8}


def test_the_margin_reaches_further_windows():
    _, starts = held(region((10, 4, 5), margin_mm=9.0))  # three fine voxels more to both sides
    assert {start[0] for start in starts} == {12, 16, 20, 24}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("spacing", [2.2, 3.0, 7.0])
def test_windows_that_hold_a_voxel_of_the_grown_region_are_never_left_out(order, spacing):
    fine = SCAN.to_task_grid("RAS", (spacing, 3.0, spacing))
    found = region((3, 2, 1), (14, 6, 8), margin_mm=7.0)
    plan, starts = held(found, patch=(4, 4, 4), order=order, fine=fine)
    assert 0 < len(starts) < len(plan)
    centres = np.argwhere(found.mask)[:, ::-1]  # x, y, z
    organs = centres @ COARSE.affine[:3, :3].T + COARSE.affine[:3, 3]
    for start in set(plan.starts) - set(starts):
        first = order.sizes_back(tuple(a - b for a, b in zip(start, plan.pad_before, strict=True))).xyz
        size = order.sizes_back(plan.patch).xyz
        low = fine.affine[:3, 3] + (np.array(first) - 0.5) * fine.spacing
        high = low + np.array(size) * fine.spacing
        near = (organs + 3.0 + 7.0 > low) & (organs - 3.0 - 7.0 < high)  # half a coarse voxel, and the margin
        assert not near.all(axis=1).any()


def test_a_window_beyond_the_coarse_grids_end_counts_its_last_voxel():
    scan = Grid((1, 1, 40), np.diag([3.0, 3.0, 3.0, 1.0]))
    coarse, fine = (scan.to_task_grid("RAS", (step,) * 3) for step in (80.0, 3.0))  # 120 mm are 1.5 → 2 voxels
    _, starts = held(region((1, 0, 0), grid=coarse), patch=(4, 4, 4), overlap=0.0, fine=fine)
    assert starts[-1][0] == 36


def test_a_region_without_a_voxel_is_empty_and_held_by_no_window():
    assert region().is_empty
    assert not region((0, 0, 0)).is_empty
    assert held(region(margin_mm=50.0))[1] == []


@pytest.mark.parametrize("order", ORDERS)
def test_voxels_at_or_above_the_threshold_are_the_region(order):
    probability = np.random.default_rng(1).random(COARSE.shape.dhw)
    odds = OrganOdds(COARSE, order)
    turned = order.turned(np.log(probability / (1 - probability)))
    for z in range(0, len(turned), 3):
        framed = np.zeros((2, 1 + len(turned[z : z + 3]), 1 + turned.shape[1], turned.shape[2]), np.float32)
        framed[1, 1:, 1:] = turned[z : z + 3]
        odds.add(ScoreBlock(z, 0, framed))
    assert np.array_equal(odds.mask(0.3), probability >= 0.3)
