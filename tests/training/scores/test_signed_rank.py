from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from bedside.training.scores.signed_rank import FEWEST, holm, signed_rank
from scipy.stats import rankdata


def p_by_all_signs(differences: np.ndarray) -> float:
    """The share of the 2ⁿ ways to sign the differences whose sum of positive ranks lies as far from the middle."""
    ranks = rankdata(np.abs(differences))
    middle = ranks.sum() / 2
    seen = abs(ranks[differences > 0].sum() - middle)
    sums = [sum(rank for rank, up in zip(ranks, signs, strict=True) if up) for signs in _signs(len(ranks))]
    return float(np.mean([abs(each - middle) >= seen - 1e-9 for each in sums]))


def _signs(count: int) -> itertools.product[tuple[bool, ...]]:
    return itertools.product((False, True), repeat=count)


def test_six_differences_of_one_sign_have_p_one_in_32() -> None:
    assert signed_rank(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])).p == pytest.approx(2 / 2**6)


def test_five_differences_cannot_reach_five_percent_and_six_can() -> None:
    assert signed_rank(np.arange(1.0, FEWEST)).p == pytest.approx(0.0625)
    assert signed_rank(np.arange(1.0, FEWEST + 1)).p < 0.05


def test_p_of_the_textbook_case_is_the_count_of_rank_sums() -> None:
    # ranks 1…6, only the largest negative: 14 of 64 choices of ranks sum to 6 or less
    test = signed_rank(np.array([0.1, 0.2, 0.3, 0.4, 0.5, -0.6]))
    assert test.p == pytest.approx(2 * 14 / 64)
    assert (test.positive, test.negative, test.balance) == (5, 1, 15 - 6)


@pytest.mark.parametrize("seed", range(6))
def test_p_is_exact_with_ties(seed: int) -> None:
    differences = np.random.default_rng(seed).integers(-3, 4, 9) / 10
    differences = differences[differences != 0]
    assert signed_rank(differences).p == pytest.approx(p_by_all_signs(differences))


def test_p_is_exact_with_ties_among_sixteen_pairs_whatever_the_version_of_scipy() -> None:
    # two pairs share rank 2.5, two 6.5; scipy's table for untied ranks says 0.0182, its approximation 0.0199
    differences = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -2, -5, -12, 13, 14]) / 100
    assert signed_rank(differences).p == pytest.approx(p_by_all_signs(differences))


def test_p_is_exact_with_missed_organs_which_are_always_ties() -> None:
    differences = np.array([*np.linspace(0.01, 0.1, 10), *[np.inf] * 4, -np.inf])
    assert signed_rank(differences).p == pytest.approx(p_by_all_signs(np.clip(differences, -1, 1)))


def test_fifty_pairs_of_one_sign_are_counted_and_51_are_approximated() -> None:
    assert signed_rank(np.arange(1.0, 51)).p == pytest.approx(2 / 2**50, rel=1e-12)
    assert signed_rank(np.arange(1.0, 52)).p > 1e-11  # exact: 2/2⁵¹ = 9e-16


def test_pairs_without_a_difference_change_the_number_of_pairs_only() -> None:
    some = np.array([0.1, 0.3, -0.2, 0.5, 0.4, 0.6])
    with_zeros = signed_rank(np.array([0, *some, 0, 0]))
    assert (with_zeros.pairs, with_zeros.p) == (9, signed_rank(some).p)


def test_no_difference_at_all_has_p_one_and_no_side() -> None:
    test = signed_rank(np.zeros(8))
    assert (test.p, test.balance, test.positive, test.negative) == (1.0, 0.0, 0, 0)


def test_no_pairs_have_no_p() -> None:
    assert math.isnan(signed_rank(np.zeros(0)).p)


def test_infinite_differences_share_the_highest_ranks() -> None:
    infinite = signed_rank(np.array([0.1, -0.2, 0.3, np.inf, np.inf, -np.inf]))
    large = signed_rank(np.array([0.1, -0.2, 0.3, 9.0, 9.0, -9.0]))
    assert infinite == large


def test_only_infinite_differences_are_ranked_too() -> None:
    assert signed_rank(np.full(6, np.inf)).p == pytest.approx(2 / 2**6)


def test_differences_equal_in_decimals_are_ties_though_binary_fractions_tell_them_apart() -> None:
    values = np.array([0.3 - 0.2, 0.2 - 0.1, 0.9 - 0.8, 0.5 - 0.6, 0.8 - 0.7, 0.1])
    assert len(set(np.abs(values))) > 1
    assert signed_rank(values).p == signed_rank(np.array([0.1, 0.1, 0.1, -0.1, 0.1, 0.1])).p


def test_holm_multiplies_by_the_number_of_hypotheses_left_and_never_decreases() -> None:
    # sorted: 0.01 · 3, 0.03 · 2, 0.04 · 1 → at least the one before
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_holm_ends_at_one() -> None:
    assert holm([0.6, 0.7]) == [1.0, 1.0]
