from __future__ import annotations

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.training.scores.metrics import dice_per_class, evaluate_case, finite_mean


def cube(start: int, size: int = 5, label: int = 1) -> np.ndarray:
    """A cube of ``size`` voxels a side in a 20³ volume, from x = start and y = z = 5."""
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[start : start + size, 5 : 5 + size, 5 : 5 + size] = label
    return labels


def test_identical_maps_score_one_and_lie_0_mm_apart() -> None:
    scores = evaluate_case(cube(5), cube(5), 2, (1, 1, 1))
    assert (scores.dice[1], scores.nsd[1], scores.hd95[1]) == (1, 1, 0)


def test_cube_shifted_by_one_of_five_voxels_has_dice_four_fifths() -> None:
    # 125 voxels each, 4·5·5 = 100 shared: 2·100 / 250
    assert dice_per_class(cube(6), cube(5), 2)[1] == pytest.approx(0.8)


def test_background_dice_stands_at_index_0() -> None:
    # 8000 − 125 background voxels each, 8000 − 150 shared
    assert dice_per_class(cube(6), cube(5), 2)[0] == pytest.approx(7850 / 7875)


@pytest.mark.parametrize(("spacing", "expected"), [((1, 1, 1), 1.0), ((3, 1, 1), 3.0), ((1, 3, 1), 1.0)])
def test_hd95_of_a_cube_shifted_by_one_voxel_is_the_spacing_of_that_axis(
    spacing: tuple[float, float, float], expected: float
) -> None:
    assert evaluate_case(cube(6), cube(5), 2, spacing).hd95[1] == pytest.approx(expected)


def test_nsd_is_one_up_to_the_tolerance_and_less_below_it() -> None:
    # shifted by 1 mm: every surface point lies within 1 mm of the other surface. Below that only the four
    # sides along the shift agree: 2/3 of a cube's surface, a little less for their ends.
    assert evaluate_case(cube(6), cube(5), 2, (1, 1, 1), tolerance_mm=1.0).nsd[1] == pytest.approx(1)
    assert evaluate_case(cube(6), cube(5), 2, (1, 1, 1), tolerance_mm=0.5).nsd[1] == pytest.approx(2 / 3, abs=0.03)


def test_nsd_of_cubes_far_apart_is_zero() -> None:
    scores = evaluate_case(cube(14), cube(2), 2, (1, 1, 1))
    assert (scores.dice[1], scores.nsd[1]) == (0, 0)
    assert scores.hd95[1] == pytest.approx(12)


def test_tolerance_is_in_millimetres_not_voxels() -> None:
    near, far = (evaluate_case(cube(6), cube(5), 2, (mm, 1, 1), tolerance_mm=2.0).nsd[1] for mm in (2.0, 2.5))
    assert near == pytest.approx(1)
    assert far < 0.95


def test_absent_organ_has_no_score_and_a_prediction_of_it_is_spurious() -> None:
    scores = evaluate_case(cube(5, label=2), cube(5), 3, (1, 1, 1))
    assert np.isnan([scores.dice[2], scores.nsd[2], scores.hd95[2]]).all()
    assert scores.spurious.tolist() == [False, False, True]


def test_missed_organ_has_dice_and_nsd_0_and_infinite_hd95() -> None:
    scores = evaluate_case(np.zeros_like(cube(5)), cube(5), 2, (1, 1, 1))
    assert (scores.dice[1], scores.nsd[1], scores.hd95[1]) == (0, 0, np.inf)


def test_organ_cut_by_the_border_scores_like_any_other() -> None:
    scores = evaluate_case(cube(0), cube(1), 2, (1, 1, 1))
    assert scores.hd95[1] == pytest.approx(1)
    assert scores.nsd[1] == pytest.approx(1)


def test_integer_types_may_differ() -> None:
    assert dice_per_class(cube(6).astype(np.int64), cube(5).astype(np.uint16), 2)[1] == pytest.approx(0.8)


def test_finite_mean_leaves_out_absent_and_missed() -> None:
    assert finite_mean(np.array([1.0, np.nan, 3.0, np.inf])) == 2
    assert np.isnan(finite_mean(np.array([np.nan])))


def test_different_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="shape"):
        dice_per_class(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8), 2)
