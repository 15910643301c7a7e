from __future__ import annotations

import math

import pytest
from bedside.runtime.errors import InputError
from bedside.training.scores.comparison import Difference, Metric, check_cases, compare
from bedside.training.scores.score_table import Score, ScoreTable


def table(dice: dict[tuple[str, str], float], tolerance: float = 1.0, **hd95: float) -> ScoreTable:
    """Scores with NSD = Dice and HD95 = 10 · (1 − Dice) mm; ``c1_liver=…`` sets another HD95."""
    scores = {
        (case, organ): Score(value, value, hd95.get(f"{case}_{organ}", 10 * (1 - value)))
        for (case, organ), value in dice.items()
    }
    return ScoreTable(scores, tolerance)


def livers(*dice: float, **options: float) -> ScoreTable:
    return table({(f"c{number}", "liver"): value for number, value in enumerate(dice, start=1)}, **options)


def row(metric: Metric, this: ScoreTable, other: ScoreTable, organ: str) -> Difference:
    (found,) = [row for row in compare(this, other).metrics[metric] if row.organ == organ]
    return found


WORSE = livers(0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
BETTER = livers(0.6, 0.7, 0.8, 0.9, 0.55, 0.65)


def test_better_in_six_of_six_cases() -> None:
    found = row(Metric.DICE, BETTER, WORSE, "liver")
    assert (found.pairs, found.better, found.worse, found.favours) == (6, 6, 0, "this")
    assert found.this == pytest.approx(0.7)
    assert found.difference == pytest.approx(0.2)
    assert found.p == pytest.approx(2 / 2**6)
    assert not found.too_few


def test_less_hd95_is_better() -> None:
    found = row(Metric.HD95, BETTER, WORSE, "liver")
    assert (found.better, found.favours) == (6, "this")
    assert (found.this, found.other, found.difference) == pytest.approx((3, 5, -2))


def test_sides_changed_round_favour_the_other_with_the_same_p() -> None:
    found = row(Metric.NSD, WORSE, BETTER, "liver")
    assert (found.favours, found.better, found.worse, found.p) == ("other", 0, 6, pytest.approx(2 / 2**6))


def test_a_model_against_itself_differs_in_nothing() -> None:
    for rows in compare(BETTER, BETTER).metrics.values():
        assert all((each.p, each.favours, each.difference, each.too_few) == (1.0, "", 0.0, True) for each in rows)


def test_five_pairs_are_too_few() -> None:
    assert row(Metric.DICE, livers(0.6, 0.7, 0.8, 0.9, 0.55), livers(*[0.5] * 5), "liver").too_few


def test_a_missed_organ_is_the_largest_difference_in_hd95_and_left_out_of_its_mean() -> None:
    this = livers(0.6, 0.7, 0.8, 0.9, 0.55, 0.0, c6_liver=math.inf)
    found = row(Metric.HD95, this, WORSE, "liver")
    # mm nearer: 1, 2, 3, 4, 0.5 and −∞: the only negative one has rank 6
    assert (found.pairs, found.better, found.worse, found.missed, found.missed_other) == (6, 5, 1, 1, 0)
    assert found.p == pytest.approx(2 * 14 / 64)
    assert found.this == pytest.approx((4 + 3 + 2 + 1 + 4.5) / 5)
    assert found.other == pytest.approx(5)


def test_an_organ_missed_by_both_is_a_pair_without_a_difference() -> None:
    this, other = livers(0.0, 0.7, c1_liver=math.inf), livers(0.0, 0.5, c1_liver=math.inf)
    found = row(Metric.HD95, this, other, "liver")
    assert (found.pairs, found.better, found.worse, found.missed, found.missed_other) == (2, 1, 0, 1, 1)


def test_missed_organs_are_counted_whatever_the_metric() -> None:
    found = row(Metric.DICE, livers(0.0, c1_liver=math.inf), livers(0.5), "liver")
    assert (found.missed, found.missed_other, found.worse) == (1, 0, 1)


TWO = {("c1", "liver"): 0.8, ("c1", "spleen"): 0.6, ("c2", "liver"): 0.9}


def test_the_mean_is_over_each_cases_own_organs() -> None:
    other = {key: value - 0.2 for key, value in TWO.items()}
    found = row(Metric.DICE, table(TWO), table(other), "mean")
    assert found.pairs == 2
    assert found.this == pytest.approx((0.7 + 0.9) / 2)
    assert math.isnan(found.p_holm)


def test_an_organ_has_a_pair_for_each_case_that_has_it() -> None:
    assert row(Metric.DICE, table(TWO), table(TWO), "spleen").pairs == 1


def test_mean_hd95_is_over_the_organs_both_found_and_counts_who_missed_more() -> None:
    missing = table({**TWO, ("c1", "spleen"): 0.0}, c1_spleen=math.inf)
    found = row(Metric.HD95, missing, table(TWO), "mean")
    # c1: livers 2 mm each, but this one lost the spleen; c2: the same
    assert (found.pairs, found.better, found.worse, found.missed, found.missed_other) == (2, 0, 1, 1, 0)
    assert (found.this, found.other) == (pytest.approx(1.5), pytest.approx(1.5))


def test_a_case_of_which_each_missed_another_organ_says_nothing_of_mean_hd95() -> None:
    dice = {("c1", "liver"): 0.5, ("c1", "spleen"): 0.5}
    found = row(Metric.HD95, table(dice, c1_liver=math.inf), table(dice, c1_spleen=math.inf), "mean")
    assert (found.pairs, found.missed, found.missed_other) == (0, 1, 1)
    assert math.isnan(found.p)


def test_holm_corrects_for_the_number_of_organs_not_for_the_mean() -> None:
    cases = range(1, 7)
    this = {(f"c{n}", organ): 0.5 + 0.01 * n for n in cases for organ in ("liver", "spleen", "aorta")}
    other = {(f"c{n}", organ): 0.5 for n in cases for organ in ("liver", "spleen", "aorta")}
    rows = compare(table(this), table(other)).metrics[Metric.DICE]
    assert [row.p_holm for row in rows[:-1]] == pytest.approx([3 * 2 / 2**6] * 3)
    assert rows[-1].organ == "mean"
    assert rows[-1].p == pytest.approx(2 / 2**6)


def test_other_cases_are_refused_by_name_and_left_out_when_asked() -> None:
    this, other = livers(0.6, 0.7, 0.8), table({("c1", "liver"): 0.5, ("c9", "liver"): 0.5})
    with pytest.raises(InputError, match="got c2, c3 only here and c9 only there; --common"):
        compare(this, other)
    comparison = compare(this, other, common=True)
    assert (comparison.cases, comparison.left_out) == (("c1",), ("c2", "c3", "c9"))
    assert comparison.metrics[Metric.DICE][0].pairs == 1


@pytest.mark.parametrize("common", [False, True])
def test_no_common_case_is_refused_by_name_without_the_advice_to_compare_the_common_ones(common: bool) -> None:
    with pytest.raises(InputError, match=r"none that both have: c1 here and c9 there; are they named alike\?$"):
        compare(livers(0.6), table({("c9", "liver"): 0.5}), common=common)


def test_the_names_of_cases_are_compared_before_scoring_with_or_without_organs() -> None:
    other = ScoreTable({("c1", "liver"): Score(0.5, 0.5, 1.0)}, 1.0, empty=("c2",))
    check_cases(["c2", "c1"], other, common=False)
    check_cases(["c1", "c3"], other, common=True)
    with pytest.raises(InputError, match="got c3 only here and c2 only there; --common"):
        check_cases(["c1", "c3"], other, common=False)
    with pytest.raises(InputError, match="none that both have"):
        check_cases(["c3"], other, common=True)


def test_other_organs_are_refused_by_name() -> None:
    with pytest.raises(InputError, match='case "c1" has liver only here and Leber only there'):
        compare(livers(0.6), table({("c1", "Leber"): 0.5}))


def test_another_tolerance_is_refused_with_the_option_that_helps() -> None:
    with pytest.raises(InputError, match="1 mm here and 2 mm there; add --tolerance 2"):
        compare(livers(0.6), livers(0.6, tolerance=2.0))


def test_another_truth_is_seen_by_the_size_of_an_organ() -> None:
    here, there = (ScoreTable({("c1", "liver"): Score(0.5, 0.5, 1.0, voxels)}, 1.0) for voxels in (100, 101))
    with pytest.raises(InputError, match='"liver" of case "c1" has 100 voxels in the truth here and 101 there'):
        compare(here, there)
    unknown = ScoreTable({("c1", "liver"): Score(0.5, 0.5, 1.0)}, 1.0)
    assert compare(here, unknown).cases == ("c1",)
