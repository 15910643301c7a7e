"""The figures of a sweep, computed by hand."""

import math

import pytest
from bedside.distill.sweep.results import Spread, collect_results
from bedside.training.scores.score_table import Score, ScoreTable


def table(dice):
    """A table of (case, organ) → Dice."""
    return ScoreTable({key: Score(value, value, 1.0) for key, value in dice.items()}, 1.0)


def liver(*dice):
    """A table of one organ in cases 0, 1, …"""
    return table({(f"case {n}", "liver"): value for n, value in enumerate(dice)})


BASELINE = (0.50, 0.50, 0.50, 0.50, 0.50, 0.50)
BETTER = (0.51, 0.52, 0.53, 0.54, 0.55, 0.56)
MIXED = (0.49, 0.52, 0.53, 0.54, 0.55, 0.56)


def test_dice_is_the_mean_over_organs_of_the_mean_over_the_cases_that_have_them():
    first = table({("a", "liver"): 0.8, ("b", "liver"): 0.6, ("a", "spleen"): 0.1})
    second = table({("a", "liver"): 0.9, ("b", "liver"): 0.9, ("a", "spleen"): 0.1})
    (row,) = collect_results({(0.5, 0): first, (0.5, 1): second}, "test").rows
    assert row.by_seed == pytest.approx({0: 0.4, 1: 0.5})  # (0.7 + 0.1) / 2 and (0.9 + 0.1) / 2
    assert (row.dice.mean, row.dice.deviation) == pytest.approx((0.45, 0.1 / math.sqrt(2)))
    assert (row.organs["liver"].mean, row.organs["liver"].deviation) == pytest.approx((0.8, 0.2 / math.sqrt(2)))
    assert (row.organs["spleen"].mean, row.organs["spleen"].deviation) == pytest.approx((0.1, 0.0))


def test_one_seed_has_no_deviation():
    assert math.isnan(Spread.of([0.5]).deviation)


def test_every_lambda_is_compared_with_one_and_corrected_for_their_number():
    tables = {(1.0, 0): liver(*BASELINE), (0.5, 0): liver(*BETTER), (0.2, 0): liver(*MIXED)}
    mixed, better, baseline = collect_results(tables, "test").rows
    assert [row.lam for row in (mixed, better, baseline)] == [0.2, 0.5, 1.0]
    assert better.difference == pytest.approx(0.035)
    assert better.p == pytest.approx(2 / 64)  # all six of one sign, in either direction
    assert better.p_holm == pytest.approx(2 * 2 / 64)
    # -0.01 shares no rank: it is the smallest, so 2 of 64 signs have a smaller sum (0) or this one (1), twice for both
    assert mixed.p == pytest.approx(4 / 64)
    assert mixed.p_holm == pytest.approx(4 / 64)
    assert all(math.isnan(value) for value in (baseline.difference, baseline.p, baseline.p_holm))


def test_a_case_counts_once_with_its_mean_over_seeds():
    raised, lowered = (tuple(value + shift for value in BETTER) for shift in (0.1, -0.1))
    tables = {
        (1.0, 0): liver(*BASELINE),
        (1.0, 1): liver(*BASELINE),
        (0.5, 0): liver(*raised),
        (0.5, 1): liver(*lowered),
    }
    better, _ = collect_results(tables, "test").rows
    assert better.difference == pytest.approx(0.035)
    assert better.p == pytest.approx(2 / 64)


def test_without_lambda_one_nothing_is_compared():
    (row,) = collect_results({(0.5, 0): liver(*BETTER)}, "test").rows
    assert math.isnan(row.difference)


def test_json_has_none_for_missing_figures():
    found = collect_results({(1.0, 0): liver(0.5)}, "validation", {"lambda-0.5_seed-0": 3}).to_dict()
    assert found == {
        "cases": ["case 0"],
        "list": "validation",
        "failed": {"lambda-0.5_seed-0": 3},
        "doubts": [],
        "rows": [
            {
                "lambda": 1.0,
                "dice": {"mean": 0.5, "sd": None},
                "seeds": {"0": 0.5},
                "organs": {"liver": {"mean": 0.5, "sd": None}},
                "difference": None,
                "p": None,
                "p_holm": None,
            }
        ],
    }


def test_a_seed_that_one_of_the_two_lacks_makes_no_difference():
    """With seed 1 everything is better by 0.3; λ = 0.5 failed there, and equals λ = 1 with seed 0."""
    good = tuple(dice + 0.3 for dice in BASELINE)
    tables = {(1.0, 0): liver(*BASELINE), (1.0, 1): liver(*good), (0.5, 0): liver(*BASELINE)}
    row = collect_results(tables, "test").rows[0]
    assert (row.difference, row.p, row.p_holm) == (0.0, 1.0, 1.0)


def test_without_a_seed_in_common_there_is_no_difference_and_no_correction_for_it():
    tables = {(1.0, 0): liver(*BASELINE), (0.2, 1): liver(*BETTER), (0.5, 0): liver(*BETTER)}
    apart, better, _ = collect_results(tables, "test").rows
    assert all(math.isnan(value) for value in (apart.difference, apart.p, apart.p_holm))
    assert better.p_holm == better.p
