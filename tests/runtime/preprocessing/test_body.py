"""The body's mask has every tissue voxel, what tissue encloses, and a margin of two voxels."""

import numpy as np
import pytest
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


@pytest.mark.parametrize("turns", range(4))
def test_lung_that_the_image_cuts_is_inside(rng, turns):
    ct = np.full((1, 40, 40), 40.0)
    ct[0, :25, :25] = -850  # open to two sides of the image
    ct = np.rot90(ct, turns, axes=(1, 2)) + rng.normal(0, 30, (1, 40, 40))
    assert body_mask(ct, -500).all()


def test_noisy_air_beside_the_body_stays_outside(rng):
    ct = np.full((1, 60, 60), -1000.0)
    ct[0, 20:40, 20:40] = 40
    ct += rng.normal(0, 30, ct.shape)
    mask = body_mask(ct, -500)
    assert mask.sum() == 24 * 24  # two voxels to each side


@pytest.mark.parametrize("threshold", [0.05, 40.0])
def test_the_border_of_other_images_than_ct_is_no_tissue(threshold):
    values = np.zeros((1, 20, 20))
    values[0, 5:15, 5:15] = 100
    assert not body_mask(values, threshold)[0, :3].any()


def test_planes_beside_the_body_count_too():
    ct = np.full((9, 4, 4), -1000.0)
    ct[4] = 40
    assert body_mask(ct, -500).any(axis=(1, 2)).tolist() == [False, False, True, True, True, True, True, False, False]


def test_a_relative_threshold_is_a_fraction_of_the_99th_percentile():
    values = np.arange(101.0).reshape(1, 1, 101)
    assert tissue_threshold(values, Foreground(above=0.05, relative=True)) == 0.05 * 99
    assert tissue_threshold(values, Foreground(above=-500.0)) == -500
