"""The body's mask has every tissue voxel, what tissue encloses, and a margin of two voxels."""

import numpy as np
from bedside.runtime.preprocessing.body import body_mask, tissue_threshold
from bedside.runtime.task import Foreground


def test_lungs_are_inside_and_two_voxels_around_count():
    ct = np.full((1, 20, 20), -1000.0)
    ct[0, 5:15, 5:15] = 40
    ct[0, 8:12, 8:12] = -850  # lung
    mask = body_mask(ct, -500)
    assert mask[0, 3:17, 5:15].all()
    assert mask[0, 8:12, 8:12].all()
    assert not mask[0, 2].any()


def test_planes_beside_the_body_count_too():
    ct = np.full((9, 4, 4), -1000.0)
    ct[4] = 40
    assert body_mask(ct, -500).any(axis=(1, 2)).tolist() == [False, False, True, True, True, True, True, False, False]


def test_a_relative_threshold_is_a_fraction_of_the_99th_percentile():
    values = np.arange(101.0).reshape(1, 1, 101)
    assert tissue_threshold(values, Foreground(above=0.05, relative=True)) == 0.05 * 99
    assert tissue_threshold(values, Foreground(above=-500.0)) == -500
