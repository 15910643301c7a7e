"""Scores of predicted label files against true ones over all cases: per organ, and the means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .metrics import CaseScores, finite_mean
from .pairing import Pair
from .scored_case import ScoredCase, score_pair


@dataclass(frozen=True)
class Means:
    """Means of the three scores.

    Attributes:
        dice: 0…1; NaN if nothing was scored.
        nsd: 0…1; NaN likewise.
        hd95: mm, over what was found; NaN if nothing was.
    """

    dice: float
    nsd: float
    hd95: float


@dataclass(frozen=True)
class OrganSummary:
    """One organ over all cases.

    Attributes:
        name: of the label.
        dice: mean over the cases that have the organ; NaN if none has.
        nsd: the same.
        hd95: mm, mean over the cases that have it and where it was found.
        cases: number of cases that have the organ.
        missed: in how many of these nothing was predicted.
        spurious: in how many others it was predicted though it is not there.
    """

    name: str
    dice: float
    nsd: float
    hd95: float
    cases: int
    missed: int
    spurious: int


@dataclass(frozen=True)
class Evaluation:
    """All scores.

    Attributes:
        labels: index → name.
        listed: the labels to report, without the background.
        cases: (name, scores) per case.
        tolerance_mm: of the NSD.
        turned: names of the cases whose prediction is stored along other axes than the truth.
        ignored: mean share of a case's voxels, 0…1, that were not compared.
    """

    labels: tuple[str, ...]
    listed: tuple[int, ...]
    cases: tuple[tuple[str, CaseScores], ...]
    tolerance_mm: float
    turned: tuple[str, ...] = ()
    ignored: float = 0.0

    @classmethod
    def of(cls, scored: Sequence[ScoredCase], labels: Sequence[str] | None, tolerance_mm: float) -> Evaluation:
        """Puts cases together that were scored one by one.

        Args:
            scored: the cases, at least one.
            labels: index → name, as they were scored with.
            tolerance_mm: of the NSD, likewise.
        """
        classes = max(case.scores.dice.size for case in scored)
        cases = tuple((case.name, _widened(case.scores, classes)) for case in scored)
        turned = tuple(case.name for case in scored if case.turned)
        ignored = float(np.mean([case.ignored for case in scored]))
        if labels is not None:
            return cls(tuple(labels), tuple(range(1, classes)), cases, tolerance_mm, turned, ignored)
        names = ("background", *(f"label {n}" for n in range(1, classes)))
        occurs = np.sum([scores.truth_voxels + scores.predicted_voxels for _, scores in cases], axis=0)
        listed = tuple(label for label in range(1, classes) if occurs[label])
        return cls(names, listed, cases, tolerance_mm, turned, ignored)

    @property
    def organs(self) -> tuple[OrganSummary, ...]:
        """One summary per listed label."""

        def of(label: int) -> OrganSummary:
            dice, nsd, hd95 = (
                np.array([getattr(scores, kind)[label] for _, scores in self.cases]) for kind in ("dice", "nsd", "hd95")
            )
            spurious = sum(bool(scores.spurious[label]) for _, scores in self.cases)
            means = finite_mean(dice), finite_mean(nsd), finite_mean(hd95)
            counts = int(np.isfinite(dice).sum()), int(np.isinf(hd95).sum()), spurious
            return OrganSummary(self.labels[label], *means, *counts)

        return tuple(of(label) for label in self.listed)

    @property
    def mean(self) -> Means:
        """The means over the organs' means, each organ with the same weight."""
        organs = self.organs
        return Means(
            *(finite_mean(np.array([getattr(organ, kind) for organ in organs])) for kind in ("dice", "nsd", "hd95"))
        )

    def case_mean(self, scores: CaseScores) -> Means:
        """Returns the means over the organs that a case has."""
        listed = list(self.listed)
        return Means(*(finite_mean(values[listed]) for values in (scores.dice, scores.nsd, scores.hd95)))


def evaluate_pairs(
    pairs: Sequence[Pair],
    labels: Sequence[str] | None,
    tolerance_mm: float,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Scores every pair.

    Args:
        pairs: what to compare.
        labels: index → name; if not given, labels are called by their number, and those that occur are listed.
        tolerance_mm: of the NSD.
        progress: called with (done, total).

    Raises:
        InputError: an unreadable file, grids that differ, or a label beyond the names.
    """
    scored: list[ScoredCase] = []
    for pair in pairs:
        scored.append(score_pair(pair, labels, tolerance_mm))
        if progress:
            progress(len(scored), len(pairs))
    return Evaluation.of(scored, labels, tolerance_mm)


def _widened(scores: CaseScores, classes: int) -> CaseScores:
    """Adds the classes that other cases have and this one lacks."""
    more = classes - scores.dice.size

    def wide(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.pad(values, (0, more), constant_values=np.nan)

    voxels = np.pad(scores.truth_voxels, (0, more)), np.pad(scores.predicted_voxels, (0, more))
    return CaseScores(wide(scores.dice), wide(scores.nsd), wide(scores.hd95), scores.tolerance_mm, *voxels)
