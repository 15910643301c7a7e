"""Wilcoxon's signed-rank test on paired scores, and Holm's correction for several tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import MissingExtraError

MOST_EXACT = 50  # differing pairs whose p value is exact; scipy takes the normal approximation beyond, in every version
FEWEST = 6  # differing pairs needed for p < 0.05: five with the same sign have p = 2/2⁵ = 0.0625
_DIGITS = 9  # six-digit scores that differ by the same amount do so in nine digits; binary fractions would rank them


@dataclass(frozen=True)
class SignedRank:
    """The outcome of a test.

    Attributes:
        pairs: number of pairs.
        positive: number of differences above 0.
        negative: number of differences below 0.
        p: two-sided p value; 1 if no pair differs, NaN without pairs.
        balance: sum of the ranks of the positive differences, minus that of the negative ones.
    """

    pairs: int
    positive: int
    negative: int
    p: float
    balance: float


def signed_rank(differences: NDArray[np.float64]) -> SignedRank:
    """Tests whether paired differences are symmetric around 0 (Wilcoxon, Biometrics Bulletin 1, 1945).

    Pairs without a difference are left out, as Wilcoxon did. The p value is exact up to 50 differing pairs, also where
    some differ by the same amount, and a normal approximation beyond.

    Args:
        differences: one difference per pair, with six significant digits; infinite ones rank highest.
    """
    differences = np.round(differences, _DIGITS)
    positive, negative = int((differences > 0).sum()), int((differences < 0).sum())
    if not positive and not negative:
        return SignedRank(len(differences), 0, 0, 1.0 if len(differences) else math.nan, 0.0)
    try:
        from scipy.stats import rankdata, wilcoxon
    except ImportError:
        raise MissingExtraError("scipy", "train") from None

    differing = differences[differences != 0]
    finite = np.abs(differing[np.isfinite(differing)])
    beyond = finite.max() + 1 if len(finite) else 1.0
    differing = np.clip(differing, -beyond, beyond)  # only their order counts
    ranks = np.asarray(rankdata(np.abs(differing)), np.float64)
    balance = float((np.sign(differing) * ranks).sum())
    if len(differing) <= MOST_EXACT:
        p = _exact_p(ranks, balance)
    else:
        _, p = np.asarray(wilcoxon(differing), np.float64).tolist()
    return SignedRank(len(differences), positive, negative, p, balance)


def _exact_p(ranks: NDArray[np.float64], balance: float) -> float:
    """Returns the two-sided p value among all 2ⁿ ways to sign the ranks.

    scipy has a table for ranks without ties; some of its versions use it with ties too, others approximate.

    Args:
        ranks: ranks of the n differences; those of ties are multiples of a half.
        balance: sum of the positive ranks, minus that of the negative ones.
    """
    doubled = np.rint(2 * ranks).astype(int).tolist()
    ways = np.zeros(sum(doubled) + 1)  # doubled sum of the positive ranks → number of ways to get it, at most 2⁵⁰
    ways[0] = 1
    for rank in doubled:
        ways[rank:] += ways[:-rank].copy()
    smaller = round((sum(doubled) - abs(2 * balance)) / 2)
    return min(1.0, 2 * float(ways[: smaller + 1].sum()) / 2 ** len(doubled))


def holm(p: Sequence[float]) -> list[float]:
    """Returns p values corrected for their number by Holm's step-down method (Scand. J. Statist. 6, 1979).

    >>> holm([0.25, 0.5])
    [0.5, 0.5]
    """
    corrected = [math.nan] * len(p)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = highest
    return corrected
