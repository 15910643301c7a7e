"""Neighbours and nearest voxels of positions on an axis, computed by hand."""

import numpy as np
from bedside.runtime.preprocessing.neighbours import Neighbours, interpolate_in_place, nearest_index

POSITIONS = np.array([-0.75, 0.0, 0.25, 1.0, 1.75, 2.5])


def test_beyond_the_outer_centres_the_outermost_voxel_counts_alone():
    found = Neighbours.at(POSITIONS, size=3)
    assert found.lower.tolist() == [0, 0, 0, 1, 1, 2]
    assert found.upper.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.weight.tolist() == [0, 0, 0.25, 0, 0.75, 0]


def test_the_positions_of_a_range_of_upper_neighbours():
    found = Neighbours.at(POSITIONS, size=3)
    assert found.upper_within(1, 2) == slice(2, 4)
    assert found.upper_within(5, 9) == slice(0, 0)
    part = found.part(slice(3, 5), first=1)
    assert (part.lower.tolist(), part.upper.tolist(), part.weight.tolist()) == ([0, 0], [0, 1], [0, 0.75])


def test_positions_may_run_down():
    assert Neighbours.at(POSITIONS, 3).increasing
    assert not Neighbours.at(POSITIONS[::-1], 3).increasing


def test_a_tie_goes_to_the_upper_voxel():
    assert nearest_index(np.array([-3.0, 0.49, 0.5, 1.5, 9.0]), size=3).tolist() == [0, 0, 1, 2, 2]


def test_interpolation_overwrites_the_upper_values():
    low, high = np.array([0, 10], np.float32), np.array([4, 20], np.float32)
    result = interpolate_in_place(low, high, np.array([0.25, 0.5], np.float32))
    assert result is high
    assert result.tolist() == [1, 15]
