"""The figures of a sweep: Dice per λ over seeds and organs, and the comparison of each λ with λ = 1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...training.scores.score_table import ScoreTable
from ...training.scores.signed_rank import holm, signed_rank

BASELINE = 1.0
"""λ of a training without a teacher."""


@dataclass(frozen=True)
class Spread:
    """Mean and spread of a figure over seeds.

    Attributes:
        mean: mean over the seeds.
        deviation: standard deviation of the sample (n - 1); NaN with one seed.
    """

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Returns the spread of at least one value."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan)


@dataclass(frozen=True)
class LambdaRow:
    """The figures of one λ.

    Attributes:
        lam: λ, 0…1.
        by_seed: seed → mean Dice over the organs, 0…1; an organ's Dice is the mean over the cases that have it.
        dice: spread of these over the seeds.
        organs: organ → spread of its Dice over the seeds.
        difference: mean over the cases of a case's mean Dice, averaged over the seeds that both have, minus that with
            λ = 1; NaN for λ = 1, and without a seed in common.
        p: two-sided p value of Wilcoxon's signed-rank test over the cases of that difference; NaN likewise.
        p_holm: p value corrected for the number of λ compared.
    """

    lam: float
    by_seed: dict[int, float]
    dice: Spread
    organs: dict[str, Spread]
    difference: float = math.nan
    p: float = math.nan
    p_holm: float = math.nan


@dataclass(frozen=True)
class SweepResults:
    """The figures of a sweep.

    Attributes:
        rows: one row per λ with a finished run, the smallest first.
        cases: names of the scored cases.
        case_list: the list that these cases are from: "test", or "validation".
        failed: name of each failed run → its exit code, or minus the number of the signal that killed it.
        doubts: why the cases may not be held out from what the runs learned from, or the runs not comparable; one line
            each.
    """

    rows: tuple[LambdaRow, ...]
    cases: tuple[str, ...]
    case_list: str
    failed: dict[str, int] = field(default_factory=dict[str, int])
    doubts: tuple[str, ...] = ()

    @property
    def organs(self) -> tuple[str, ...]:
        """Names of the organs that the cases have."""
        return tuple(dict.fromkeys(organ for row in self.rows for organ in row.organs))

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as plain JSON values; a missing figure is None."""
        return {
            "cases": list(self.cases),
            "list": self.case_list,
            "failed": self.failed,
            "doubts": list(self.doubts),
            "rows": [
                {
                    "lambda": row.lam,
                    "dice": _plain(row.dice),
                    "seeds": {str(seed): dice for seed, dice in row.by_seed.items()},
                    "organs": {organ: _plain(spread) for organ, spread in row.organs.items()},
                    "difference": _finite(row.difference),
                    "p": _finite(row.p),
                    "p_holm": _finite(row.p_holm),
                }
                for row in self.rows
            ],
        }


def collect_results(
    tables: Mapping[tuple[float, int], ScoreTable],
    case_list: str,
    failed: Mapping[str, int] | None = None,
    doubts: tuple[str, ...] = (),
) -> SweepResults:
    """Combines the scores of the runs of a sweep.

    Args:
        tables: (λ, seed) → scores of that run, at least one; all of the same cases.
        case_list: the list that these cases are from, "test" or "validation".
        failed: name of each failed run → its exit code.
        doubts: why the cases may not be held out, or the runs not comparable, one line each.
    """
    lambdas = sorted({lam for lam, _ in tables})
    by_lambda = {lam: {seed: tables[of, seed] for of, seed in tables if of == lam} for lam in lambdas}
    rows = [_row(lam, by_lambda[lam]) for lam in lambdas]
    if BASELINE in by_lambda:
        baseline = by_lambda[BASELINE]
        rows = [row if row.lam == BASELINE else _compared(row, by_lambda[row.lam], baseline) for row in rows]
        tested = [index for index, row in enumerate(rows) if not math.isnan(row.p)]
        for index, p in zip(tested, holm([rows[index].p for index in tested]), strict=True):
            rows[index] = replace(rows[index], p_holm=p)
    return SweepResults(tuple(rows), next(iter(tables.values())).cases, case_list, dict(failed or {}), doubts)


def _row(lam: float, tables: Mapping[int, ScoreTable]) -> LambdaRow:
    by_organ = {seed: _organ_means(table) for seed, table in tables.items()}
    by_seed = {seed: float(np.mean(list(means.values()))) for seed, means in by_organ.items()}
    names = dict.fromkeys(organ for means in by_organ.values() for organ in means)
    organs = {organ: Spread.of([means[organ] for means in by_organ.values() if organ in means]) for organ in names}
    return LambdaRow(lam, by_seed, Spread.of(list(by_seed.values())), organs)


def _organ_means(table: ScoreTable) -> dict[str, float]:
    """Returns organ → mean Dice over the cases that have it."""
    return {
        organ: float(np.mean([score.dice for (_, of), score in table.scores.items() if of == organ]))
        for organ in table.organs
    }


def _case_means(tables: Mapping[int, ScoreTable]) -> dict[str, float]:
    """Returns case → mean Dice over the organs that it has, averaged over seeds."""
    cases = dict.fromkeys(case for table in tables.values() for case in table.cases)
    return {
        name: float(
            np.mean(
                [
                    np.mean([score.dice for (case, _), score in table.scores.items() if case == name])
                    for table in tables.values()
                ]
            )
        )
        for name in cases
    }


def _compared(row: LambdaRow, tables: Mapping[int, ScoreTable], baseline: Mapping[int, ScoreTable]) -> LambdaRow:
    both = [seed for seed in tables if seed in baseline]  # where a run failed, seeds would differ as well as λ
    if not both:
        return row
    means, without = (_case_means({seed: each[seed] for seed in both}) for each in (tables, baseline))
    differences = np.array([means[case] - without[case] for case in means])
    return replace(row, difference=float(differences.mean()), p=signed_rank(differences).p)


def _plain(spread: Spread) -> dict[str, float | None]:
    return {"mean": _finite(spread.mean), "sd": _finite(spread.deviation)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
