"""Compares two models' scores on the same cases: mean difference and signed-rank test, per organ and for case means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import InputError
from ...runtime.scans.names import joined_names
from .score_table import MEAN, ScoreTable
from .signed_rank import FEWEST, holm, signed_rank

Pairs = NDArray[np.float64]  # [pairs, 2]: this model, the other model; higher is better, so a missed organ's HD95 is −∞

_SHOWN = 3


class Metric(str, Enum):
    """The score to compare; the value is its name in files."""

    DICE = "dice"
    NSD = "nsd"
    HD95 = "hd95_mm"


@dataclass(frozen=True)
class Difference:
    """Comparison of two models by one metric, for one organ or for the case means.

    Attributes:
        organ: name of the organ, or "mean" for the means over each case's organs.
        pairs: number of cases that have the organ.
        this: this model's mean over the pairs; for HD95, over the pairs where both models found the organ. NaN without
            such pairs.
        other: the other model's mean over the same pairs.
        better: number of pairs in which this model is better.
        worse: number of pairs in which this model is worse.
        missed: number of pairs in which this model missed the organ; for the mean, number of missed organs in total.
        missed_other: the same number for the other model.
        p: two-sided p value of Wilcoxon's signed-rank test; 1 if no pair differs.
        p_holm: p value corrected for the number of organs; NaN for the mean, which is a separate test.
        favours: "this" or "other", the model with the larger sum of ranks; empty if the sums are equal.
    """

    organ: str
    pairs: int
    this: float
    other: float
    better: int
    worse: int
    missed: int
    missed_other: int
    p: float
    p_holm: float
    favours: str

    @property
    def difference(self) -> float:
        """Mean of this model's minus the other model's score."""
        return self.this - self.other

    @property
    def too_few(self) -> bool:
        """Whether too few pairs differ for any outcome to reach p < 0.05."""
        return self.better + self.worse < FEWEST


@dataclass(frozen=True)
class Comparison:
    """Comparison of two models on the same cases.

    Attributes:
        cases: names of the compared cases.
        left_out: names of cases scored for only one of the models.
        tolerance_mm: tolerance of the NSD in mm.
        metrics: metric → one comparison per organ, then that of the means.
    """

    cases: tuple[str, ...]
    left_out: tuple[str, ...]
    tolerance_mm: float
    metrics: dict[Metric, tuple[Difference, ...]]


def compare(this: ScoreTable, other: ScoreTable, *, common: bool = False) -> Comparison:
    """Compares two models.

    Dice and NSD of a missed organ are 0. Its HD95 is infinite, which a rank test can use: it counts as the largest
    difference, or as no difference if both models missed the organ. A case's mean HD95 is over the organs that both
    models found; if one model missed more organs of a case, that counts as the largest difference.

    Args:
        this: scores of the model to judge.
        other: scores of the model to compare with.
        common: whether to leave out cases that only one table has; otherwise they raise an error.

    Raises:
        InputError: the tables differ in cases, organs, tolerance or true label maps.
    """
    check_tolerance(this.tolerance_mm, other)
    _check_same(this.cases, other.cases, common=common)
    left_out = tuple(sorted(set(this.cases) ^ set(other.cases)))
    cases = tuple(case for case in this.cases if case not in left_out)
    _check_truth(this, other, cases)
    keys = [key for key in this.scores if key[0] in cases]
    organs = [organ for organ in this.organs if any(key[1] == organ for key in keys)]
    metrics: dict[Metric, tuple[Difference, ...]] = {}
    for metric in Metric:
        values = {key: (_higher_is_better(this, key, metric), _higher_is_better(other, key, metric)) for key in keys}
        missed = {key: (math.isinf(this.scores[key].hd95), math.isinf(other.scores[key].hd95)) for key in keys}
        rows = [
            _of_organ(organ, _array(values, keys, 1, organ), _array(missed, keys, 1, organ).sum(axis=0))
            for organ in organs
        ]
        rows = [replace(row, p_holm=p) for row, p in zip(rows, holm([row.p for row in rows]), strict=True)]
        by_case = [(_array(values, keys, 0, case), _array(missed, keys, 0, case).sum(axis=0)) for case in cases]
        rows.append(_of_means(by_case))
        metrics[metric] = tuple(_in_mm(row) for row in rows) if metric is Metric.HD95 else tuple(rows)
    return Comparison(cases, left_out, this.tolerance_mm, metrics)


def _higher_is_better(table: ScoreTable, key: tuple[str, str], metric: Metric) -> float:
    """Returns a score for which higher is better: Dice, NSD or −HD95."""
    score = table.scores[key]
    return {Metric.DICE: score.dice, Metric.NSD: score.nsd, Metric.HD95: -score.hd95}[metric]


def _array(
    values: Mapping[tuple[str, str], tuple[float, float]], keys: Sequence[tuple[str, str]], part: int, name: str
) -> Pairs:
    return np.array([values[key] for key in keys if key[part] == name], np.float64)


def _of_organ(name: str, values: Pairs, missed: Pairs) -> Difference:
    with np.errstate(invalid="ignore"):
        differences = values[:, 0] - values[:, 1]
    differences[np.isinf(values).all(axis=1)] = 0.0  # missed by both
    return _tested(name, differences, values[np.isfinite(values).all(axis=1)], missed)


def _of_means(cases: Sequence[tuple[Pairs, Pairs]]) -> Difference:
    """Compares the means over each case's organs; a case is (scores [organs, 2], numbers of missed organs [2])."""
    missed = np.array([missed for _, missed in cases])
    means = np.array([_mean_of_finite(values) for values, _ in cases])
    differences = means[:, 0] - means[:, 1]
    if any(np.isinf(values).any() for values, _ in cases):
        more_missed = missed[:, 1] - missed[:, 0]
        differences = np.where(more_missed != 0, np.copysign(np.inf, more_missed), differences)
    # NaN: both models missed equally many organs of the case and found no organ in common, so it shows no difference.
    differences = differences[~np.isnan(differences)]
    return _tested(MEAN, differences, means[np.isfinite(means).all(axis=1)], missed.sum(axis=0))


def _mean_of_finite(values: Pairs) -> Pairs:
    both = values[np.isfinite(values).all(axis=1)]
    return both.mean(axis=0) if len(both) else np.full(2, np.nan)


def _tested(name: str, differences: NDArray[np.float64], both: Pairs, missed: Pairs) -> Difference:
    this, other = both.mean(axis=0).tolist() if len(both) else (math.nan, math.nan)
    test = signed_rank(differences)
    favours = "this" if test.balance > 0 else "other" if test.balance < 0 else ""
    counts = test.positive, test.negative, int(missed[0]), int(missed[1])
    return Difference(name, test.pairs, this, other, *counts, test.p, math.nan, favours)


def _in_mm(row: Difference) -> Difference:
    """Converts −HD95 back to HD95."""
    return replace(row, this=0.0 - row.this, other=0.0 - row.other)


def check_tolerance(tolerance_mm: float, other: ScoreTable) -> None:
    """Checks that the other model was scored at the same tolerance; call this before scoring, which takes long.

    Raises:
        InputError: the other model's NSD has another tolerance.
    """
    if tolerance_mm != other.tolerance_mm:
        raise InputError(
            f"compare: expected NSD at the same tolerance, got {tolerance_mm:g} mm here and "
            f"{other.tolerance_mm:g} mm there; add --tolerance {other.tolerance_mm:g}"
        )


def check_cases(cases: Sequence[str], other: ScoreTable, *, common: bool) -> None:
    """Checks that the other model was scored on the same cases; call this before scoring, which takes long.

    Args:
        cases: names of the cases to score, with or without organs.
        other: the other model's scores.
        common: whether cases that only one of the two has are left out; otherwise they raise an error.

    Raises:
        InputError: only one of the two has a case, or no case is in both.
    """
    _check_same(cases, (*other.cases, *other.empty), common=common)


def _check_same(here: Sequence[str], there: Sequence[str], *, common: bool) -> None:
    only_here, only_there = sorted({*here} - {*there}), sorted({*there} - {*here})
    if not {*here} & {*there}:
        raise InputError(
            f"compare: expected the same cases in both, got none that both have: {_named(only_here)} here and "
            f"{_named(only_there)} there; are they named alike?"
        )
    if (only_here or only_there) and not common:
        raise InputError(
            f"compare: expected the same cases in both, got {_named(only_here)} only here and {_named(only_there)} "
            "only there; --common compares those that both have"
        )


def _check_truth(this: ScoreTable, other: ScoreTable, cases: Sequence[str]) -> None:
    """Checks that both tables have the same organs per case, of the same true size where the files contain it."""
    for case in cases:
        here, there = ({organ for name, organ in table.scores if name == case} for table in (this, other))
        if here != there:
            raise InputError(
                f'compare: expected the same organs in both, but case "{case}" has {_named(sorted(here - there))} only '
                f"here and {_named(sorted(there - here))} only there; score both against the same truth, with the same "
                "names (--labels, --task)"
            )
    for (case, organ), score in this.scores.items():
        sizes = score.truth_voxels, other.scores[case, organ].truth_voxels if case in cases else 0
        if 0 not in sizes and sizes[0] != sizes[1]:
            raise InputError(
                f'compare: "{organ}" of case "{case}" has {sizes[0]} voxels in the truth here and {sizes[1]} there; '
                "score both against the same truth"
            )


def _named(names: Sequence[str]) -> str:
    return joined_names(names, _SHOWN) or "none"
