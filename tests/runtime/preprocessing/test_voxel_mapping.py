"""A mapping gives each voxel its position in a sheared grid, tile by tile."""

import numpy as np
import pytest
from bedside.runtime.preprocessing import voxel_mapping
from bedside.runtime.preprocessing.voxel_mapping import VoxelMapping, along_axes_of, differ_in_shear
from bedside.runtime.scans.geometry import Grid

STRAIGHT = Grid((5, 4, 3), np.eye(4))
SHEARED = Grid((5, 4, 3), np.array([[1, 0, 0, 0], [0, 1, 0.5, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))


def test_positions_are_those_of_the_affines():
    mapping = VoxelMapping(STRAIGHT, SHEARED)
    (last,) = (tile for tile in mapping.tiles() if tile.plane == 2)
    # The sheared grid's plane 2 is shifted by one voxel along y: y = 3 is its row 2.
    assert [mapping.positions(last, axis)[3, 4] for axis in range(3)] == [2, 2, 4]


@pytest.mark.parametrize("size", [4, 7, 1000])
def test_tiles_cover_every_voxel_once(monkeypatch, size):
    monkeypatch.setattr(voxel_mapping, "_TILE_VOXELS", size)
    count = np.zeros(STRAIGHT.shape.dhw, int)
    for tile in VoxelMapping(STRAIGHT, SHEARED).tiles():
        count[tile.plane, tile.rows, tile.columns] += 1
    assert (count == 1).all()


def test_tiles_around_a_box_hold_every_voxel_in_it_and_not_the_whole_grid():
    grid = Grid((5, 40, 30), np.eye(4))
    mapping = VoxelMapping(grid, Grid((5, 40, 30), SHEARED.affine))
    low, high = np.array([9.5, 3.5, -np.inf]), np.array([11.5, 7.5, np.inf])
    tiles = list(mapping.tiles_around(low, high))
    held = {(tile.plane, row) for tile in tiles for row in range(40)[tile.rows]}
    # Row y of plane z is at y − z / 2 in the sheared grid.
    assert held >= {(z, y) for z in (10, 11) for y in range(40) if 3.5 <= y - z / 2 <= 7.5}
    assert len(held) < 40


def test_a_flipped_array_is_viewed_in_the_targets_direction():
    flipped = Grid((5, 4, 3), np.diag([-1.0, 1, 1, 1]))
    array = np.arange(60).reshape(3, 4, 5)
    view, grid = along_axes_of(array, flipped, STRAIGHT)
    assert np.shares_memory(view, array)
    np.testing.assert_array_equal(view, array[:, :, ::-1])
    assert grid.axes == "RAS"


def test_only_one_sheared_grid_of_two_needs_a_mapping():
    assert differ_in_shear(STRAIGHT, SHEARED)
    assert not differ_in_shear(SHEARED, SHEARED)
