"""Figures of border zones, worked out by hand on a line of voxels."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.export.gate.borders import BorderComparison, border_zone

LABELS = ("background", "fat")


def line(*organ: float) -> np.ndarray:
    """Probabilities [2, 1, 1, voxels] from the organ's."""
    own = np.array(organ, np.float32)
    return np.stack([1 - own, own]).reshape(2, 1, 1, len(organ))


def figures(variant, student, truth=None, ignore=None):
    comparison = BorderComparison(2)
    labels = None if truth is None else np.array(truth).reshape(1, 1, -1)
    comparison.add(line(*variant), line(*student), labels, ignore)
    return comparison.figures(LABELS)


def test_the_zone_is_two_voxels_on_either_side_of_the_border():
    organ = np.zeros((1, 1, 10), bool)
    organ[..., 5:] = True
    assert np.flatnonzero(border_zone(organ)).tolist() == [3, 4, 5, 6]


def test_the_edge_of_a_patch_is_no_border():
    assert not border_zone(np.ones((6, 6, 6), bool)).any()


def test_a_small_organ_is_in_its_zone_as_a_whole():
    organ = np.zeros((9, 9, 9), bool)
    organ[4, 4, 4] = True
    assert border_zone(organ).sum() == 5**3


def test_the_difference_is_that_of_the_zone_alone():
    student = [0.0] * 5 + [1.0] * 5
    variant = [0.4, 0.4, 0.4, 0.1, 0.3, 0.8, 0.9, 0.6, 0.6, 0.6]  # far from the border it differs most
    border = figures(variant, student)["fat"]
    assert border.voxels == 4
    assert border.difference == pytest.approx((0.1 + 0.3 + 0.2 + 0.1) / 4)
    assert border.confidence_error is None


def test_noise_that_cancels_is_a_difference_and_no_shift():
    student = [0.10, 0.10, 0.11, 0.13, 0.89, 0.87, 0.90, 0.90]  # the zone is the middle four
    variant = [0.10, 0.10, 0.13, 0.11, 0.87, 0.89, 0.90, 0.90]
    border = figures(variant, student)["fat"]
    assert border.difference == pytest.approx(0.02)
    assert border.confidence_shift == pytest.approx(0.0, abs=1e-6)


def test_lost_confidence_is_a_shift_as_large_as_the_difference():
    border = figures([0.0, 0.0, 0.3, 0.4, 0.6, 0.7, 1.0, 1.0], [0.0, 0.0, 0.1, 0.2, 0.8, 0.9, 1.0, 1.0])["fat"]
    assert (border.difference, border.confidence_shift) == pytest.approx((0.2, 0.2))


def test_the_error_of_confidence_is_that_against_the_known_labels():
    """In the zone the model claims 0.9 for two voxels; of those with a known label one is the organ."""
    student = [0.0, 0.0, 0.0, 0.0, 0.9, 0.9, 0.9, 0.9]
    border = figures(student, student, truth=[0, 0, 0, 0, 1, 0, 1, 1])["fat"]
    assert border.confidence_error == pytest.approx(abs(2 * 0.9 - 1) / 4)
    border = figures(student, student, truth=[0, 0, 9, 9, 1, 9, 1, 1], ignore=9)["fat"]
    assert border.confidence_error == pytest.approx(0.1)


def test_patches_are_summed_and_an_organ_that_the_student_does_not_find_has_no_figures():
    comparison = BorderComparison(3)
    absent = np.zeros((1, 1, 1, 8), np.float32)
    for shift in (0.1, 0.3):
        student = [0.0] * 4 + [1.0] * 4
        variant = [shift] * 4 + [1.0] * 4
        comparison.add(np.concatenate([line(*variant), absent]), np.concatenate([line(*student), absent]), None, None)
    found = comparison.figures(("background", "fat", "bone"))
    assert set(found) == {"fat"}
    assert found["fat"].voxels == 8
    assert found["fat"].difference == pytest.approx(0.1)
