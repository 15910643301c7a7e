"""Values that are not CT in HU are noticed by how they are distributed; CT is not, whatever part of a body it shows."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.runtime.preprocessing.intensity_check import (
    NO_NEGATIVES,
    NORMALISED,
    OFFSET,
    TENFOLD,
    TENTH,
    ct_mismatch,
    looks_like_ct,
)
from bedside.runtime.scans.intensity_sample import IntensitySample


def doubt(values):
    return ct_mismatch(IntensitySample.of(values))


def ct_like(values):
    return looks_like_ct(IntensitySample.of(values))


def tissue(mean, sigma=12, shape=(32, 32, 32), seed=3):
    return np.random.default_rng(seed).normal(mean, sigma, shape).astype(np.int16)


def outside_padded(values, padding):
    """The same scan with its corners outside the scanner's field of view."""
    padded = values.copy()
    x, y = np.indices(values.shape[:2])
    half_x, half_y = values.shape[0] / 2, values.shape[1] / 2
    padded[((x - half_x) / half_x) ** 2 + ((y - half_y) / half_y) ** 2 > 1] = padding
    return padded


def rescaled(hu, low, high, to):
    return to * (np.clip(hu, low, high) - low) / (high - low)


WRONG = {
    "an offset of 1024": (lambda hu: hu + 1024, OFFSET),
    "an offset of 1000": (lambda hu: hu + 1000, OFFSET),
    "an offset, padding of -2000": (lambda hu: outside_padded(hu + 1024, -2000), OFFSET),
    "an offset, padding of -3024": (lambda hu: outside_padded(hu + 1024, -3024), OFFSET),
    "an offset, padding of -32768": (lambda hu: outside_padded(hu + 1024, -32768), OFFSET),
    "an offset, padding of 0": (lambda hu: outside_padded(hu + 1024, 0), OFFSET),
    "inverted": (lambda hu: -hu, OFFSET),
    "z-scores": (lambda hu: (hu - hu.mean()) / hu.std(), NORMALISED),
    "z-scores, padding of -1000": (lambda hu: outside_padded((hu - hu.mean()) / hu.std(), -1000), NORMALISED),
    "-1 to 1": (lambda hu: rescaled(hu, -1024, 3071, 2) - 1, NORMALISED),
    "0 to 1": (lambda hu: rescaled(hu, -160, 240, 1), NORMALISED),
    "0 to 255, wide": (lambda hu: rescaled(hu, -1000, 1000, 255).astype(np.uint8), NO_NEGATIVES),
    "0 to 255, narrow": (lambda hu: rescaled(hu, -160, 240, 255).astype(np.uint8), NO_NEGATIVES),
    "times 10": (lambda hu: hu.astype(np.int32) * 10, TENFOLD),
    "divided by 10": (lambda hu: hu / 10, TENTH),
}


@pytest.mark.parametrize("name", WRONG)
def test_ct_in_another_unit_is_noticed(trunk, name):
    changed, expected = WRONG[name]
    assert doubt(changed(trunk)) == expected


def test_integers_that_wrapped_around_are_noticed(trunk):
    assert doubt(trunk.astype(np.uint16)) is not None


@pytest.mark.parametrize("name", ["an offset of 1024", "times 10", "z-scores", "0 to 255, narrow"])
def test_a_crop_in_another_unit_is_noticed(trunk, name):
    changed, _ = WRONG[name]
    assert doubt(changed(trunk)[4:40, 4:36, 2:34]) is not None


@pytest.mark.parametrize("largest", [112, 800, 4000, 1.7e6])
def test_mr_of_any_scale_is_noticed(brain_mr, largest):
    assert doubt(brain_mr / brain_mr.max() * largest) is not None


@pytest.mark.parametrize("negative", [-1, -60, -1024])
def test_mr_with_a_negative_voxel_is_noticed(brain_mr, negative):
    values = brain_mr / brain_mr.max() * 400
    values[3, 4, 5] = negative
    assert doubt(values) == NO_NEGATIVES


def test_a_whole_ct_is_ct(trunk):
    assert doubt(trunk) is None


@pytest.mark.parametrize("padding", [-2000, -3024, -32768])
def test_padding_does_not_make_a_ct_suspicious(trunk, padding):
    assert doubt(outside_padded(trunk, padding)) is None


def test_padding_that_was_resampled_does_not_make_a_ct_suspicious(trunk):
    padded = outside_padded(trunk.astype(np.float32), -3024)
    assert doubt((padded[1:] + padded[:-1]) / 2) is None


@pytest.mark.parametrize(
    ("place", "mean", "sigma"),
    [
        ("lung", -820, 60), ("fat", -100, 12), ("urine", 5, 9), ("brain", 32, 6), ("liver of low dose", 55, 22),
        ("liver with contrast agent", 110, 15), ("blood with contrast agent", 400, 25), ("spongy bone", 250, 90),
        ("cortical bone", 1500, 250), ("outside the patient", -1000, 8),
    ],
)  # fmt: skip
def test_a_crop_of_a_single_tissue_is_ct(place, mean, sigma):
    assert doubt(tissue(mean, sigma)) is None, place


def test_a_crop_inside_metal_is_ct():
    hu = tissue(60, 40)
    hu[4:, 4:] = 3071
    assert doubt(hu) is None


def test_ct_with_its_air_cut_off_is_ct(trunk):
    assert doubt(np.clip(trunk, -200, 300)) is None


def test_noise_makes_the_lowest_value_of_low_dose_ct(trunk):
    assert doubt(trunk + tissue(0, 45, trunk.shape)) is None


@pytest.mark.parametrize("crop", [np.s_[:], np.s_[10:40, 8:34, 4:20], np.s_[0:16]])
def test_ct_given_to_an_mr_task_looks_like_ct(trunk, crop):
    assert ct_like(trunk[crop])


@pytest.mark.parametrize("largest", [112, 800, 4000, 1.7e6])
@pytest.mark.parametrize("padding", [None, -1024, -32768])
def test_mr_does_not_look_like_ct(brain_mr, largest, padding):
    values = brain_mr / brain_mr.max() * largest
    assert not ct_like(values if padding is None else outside_padded(values, padding))


def test_mr_with_ringing_below_zero_does_not_look_like_ct(brain_mr):
    values = brain_mr / brain_mr.max() * 900
    values[np.random.default_rng(0).random(values.shape) < 0.03] = -20
    assert not ct_like(values)
