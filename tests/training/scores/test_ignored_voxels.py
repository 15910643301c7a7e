"""Scores where part of the truth is ignored: figures that a person can work out."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.training.scores.metrics import dice_per_class, evaluate_case

SHAPE = (20, 20, 20)


def cube(start: int, size: int = 6) -> np.ndarray:
    """A cube of ``size`` voxels a side, from x = start and y = z = 6."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[start : start + size, 6 : 6 + size, 6 : 6 + size] = 1
    return labels


def region(*places: slice) -> np.ndarray:
    ignored = np.zeros(SHAPE, bool)
    ignored[places] = True
    return ignored


def test_a_prediction_that_differs_in_ignored_voxels_alone_is_perfect() -> None:
    truth = cube(6)
    ignored = region(slice(0, 8))
    prediction = np.where(ignored, np.random.default_rng(0).integers(0, 2, SHAPE), truth).astype(np.uint8)
    scores = evaluate_case(prediction, truth, 2, (1, 1, 1), 0.0, ignored)
    assert (scores.dice[1], scores.nsd[1], scores.hd95[1]) == (1, 1, 0)
    # of the six planes x = 6…11, the first two are ignored
    assert (scores.truth_voxels[1], scores.predicted_voxels[1]) == (4 * 36, 4 * 36)


def test_dice_counts_the_other_voxels_of_every_class() -> None:
    # planes 6…11 against 8…13; from x = 10 on ignored: 4 planes of truth, 2 of the prediction, 2 shared
    dice = dice_per_class(cube(8), cube(6), 2, region(slice(10, None)))
    assert dice[1] == pytest.approx(2 * 2 / (4 + 2))
    assert dice[0] == pytest.approx(2 * (10 * 400 - 4 * 36) / (2 * 10 * 400 - 6 * 36))


def test_nothing_ignored_changes_no_figure() -> None:
    plain, masked = (evaluate_case(cube(8), cube(6), 2, (1, 2, 3), 1.0, mask) for mask in (None, np.zeros(SHAPE, bool)))
    for name in ("dice", "nsd", "hd95", "truth_voxels", "predicted_voxels"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(masked, name))


def test_an_organ_that_the_known_part_lacks_has_no_score_and_a_hidden_prediction_is_not_spurious() -> None:
    hidden = evaluate_case(cube(6), cube(6), 2, (1, 1, 1), 1.0, region(slice(6, 12)))
    assert np.isnan(hidden.dice[1])
    assert not hidden.spurious[1]


def test_an_organ_found_in_ignored_voxels_alone_is_missed() -> None:
    scores = evaluate_case(cube(2, 4), cube(10), 2, (1, 1, 1), 1.0, region(slice(0, 8)))
    assert (scores.dice[1], scores.nsd[1], scores.hd95[1]) == (0, 0, np.inf)


def test_a_border_towards_ignored_voxels_is_no_surface() -> None:
    """A bar through the volume, ignored from x = 10 on, and a bar one voxel thicker.

    Every fifth voxel of the thicker outline is a corner, √2 mm from the other bar. The ends at x = 10, which
    both share, are no borders; they would have raised the NSD.
    """
    truth, prediction = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    truth[:, 8:12, 8:12], prediction[:, 7:13, 7:13] = 1, 1
    ignored = region(slice(10, None))
    known = evaluate_case(prediction[:10], truth[:10], 2, (1, 1, 1), 0.0)
    scores = evaluate_case(prediction, truth, 2, (1, 1, 1), 0.0, ignored)
    assert scores.hd95[1] == pytest.approx(np.sqrt(2))
    assert scores.nsd[1] < known.nsd[1]


def test_slices_labelled_one_by_one_are_compared_by_their_outlines() -> None:
    """Every fourth slice is labelled; within a slice a square of 6 voxels a side is off by one along x."""
    truth, prediction = cube(6, 6), cube(7, 6)
    ignored = np.ones(SHAPE, bool)
    ignored[:, :, ::4] = False
    scores = evaluate_case(prediction, truth, 2, (1, 1, 1), 1.0, ignored)
    assert scores.dice[1] == pytest.approx(5 / 6)
    assert (scores.nsd[1], scores.hd95[1]) == (1, 1)
    far = evaluate_case(cube(9, 6), truth, 2, (1, 1, 1), 1.0, ignored)
    assert far.hd95[1] == 3


def test_an_organ_without_any_known_border_is_scored_by_what_is_known() -> None:
    full = np.ones(SHAPE, np.uint8)
    ignored = np.ones(SHAPE, bool)
    ignored[8:12, 8:12, 8:12] = False
    scores = evaluate_case(full, full, 2, (1, 1, 1), 1.0, ignored)
    assert (scores.dice[1], scores.nsd[1], scores.hd95[1]) == (1, 1, 0)
