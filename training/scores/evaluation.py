"""Scores predicted label files against true ones over all cases: per organ, and the means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runtime.hooks import Progress
from .metrics import CaseScores, finite_mean
from .pairing import Pair
from .scored_case import ScoredCase, score_pair


@dataclass(frozen=True)
class Means:
    """Means of the three scores.

    Attributes:
        dice: mean Dice, 0…1; NaN without scores.
        nsd: mean NSD, 0…1; NaN without scores.
        hd95: mean HD95 in mm over the organs that were found; NaN without such organs.
    """

    dice: float
    nsd: float
    hd95: float


@dataclass(frozen=True)
class OrganSummary:
    """One organ over all cases.

    Attributes:
        name: name of the label.
        dice: mean Dice, 0…1, over the cases that have the organ; NaN without such cases.
        nsd: mean NSD, 0…1, over the same cases; NaN likewise.
        hd95: mean HD95 in mm over the cases that have the organ and where it was found; NaN without such cases.
        volume: median over the cases that have the organ of predicted by true volume, less 1: 0.3 says that the
            organ is drawn 30 % too large in the typical case, −1 that it was missed; NaN without such cases.
        cases: number of cases that have the organ.
        missed: number of these cases without a predicted voxel of the organ.
        spurious: number of cases without the organ in which it was predicted.
    """

    name: str
    dice: float
    nsd: float
    hd95: float
    volume: float
    cases: int
    missed: int
    spurious: int


@dataclass(frozen=True)
class Evaluation:
    """The scores of all cases.

    Attributes:
        labels: index → name.
        reported: indices of the labels to report, without the background.
        cases: (name, scores) per case.
        tolerance_mm: tolerance of the NSD in mm.
        reoriented: names of the cases whose prediction is stored with other axes than the true label map.
        ignored: mean share of ignored voxels per case, 0…1.
        identical: names of the cases whose predicted file is the true one, or has the same bytes.
    """

    labels: tuple[str, ...]
    reported: tuple[int, ...]
    cases: tuple[tuple[str, CaseScores], ...]
    tolerance_mm: float
    reoriented: tuple[str, ...] = ()
    ignored: float = 0.0
    identical: tuple[str, ...] = ()

    @classmethod
    def of(cls, scored: Sequence[ScoredCase], labels: Sequence[str] | None, tolerance_mm: float) -> Evaluation:
        """Combines cases that were scored one by one.

        Args:
            scored: scored cases, at least one.
            labels: index → name, as given to `score_pair`.
            tolerance_mm: tolerance of the NSD in mm, as given to `score_pair`.
        """
        classes = max(case.scores.dice.size for case in scored)
        cases = tuple((case.name, _widened(case.scores, classes)) for case in scored)
        reoriented = tuple(case.name for case in scored if case.reoriented)
        ignored = float(np.mean([case.ignored for case in scored]))
        remarks = reoriented, ignored, tuple(case.name for case in scored if case.identical)
        if labels is not None:
            return cls(tuple(labels), tuple(range(1, classes)), cases, tolerance_mm, *remarks)
        names = ("background", *(f"label {n}" for n in range(1, classes)))
        occurs = np.sum([scores.truth_voxels + scores.predicted_voxels for _, scores in cases], axis=0)
        reported = tuple(label for label in range(1, classes) if occurs[label])
        return cls(names, reported, cases, tolerance_mm, *remarks)

    @property
    def organs(self) -> tuple[OrganSummary, ...]:
        """One summary per reported label."""

        def of(label: int) -> OrganSummary:
            dice, nsd, hd95 = (
                np.array([getattr(scores, kind)[label] for _, scores in self.cases]) for kind in ("dice", "nsd", "hd95")
            )
            spurious = sum(bool(scores.spurious[label]) for _, scores in self.cases)
            means = finite_mean(dice), finite_mean(nsd), finite_mean(hd95)
            counts = int(np.isfinite(dice).sum()), int(np.isinf(hd95).sum()), spurious
            return OrganSummary(self.labels[label], *means, self._volume(label), *counts)

        return tuple(of(label) for label in self.reported)

    def _volume(self, label: int) -> float:
        counts = ((scores.predicted_voxels[label], scores.truth_voxels[label]) for _, scores in self.cases)
        ratios = [predicted / true for predicted, true in counts if true]
        return float(np.median(ratios)) - 1 if ratios else float("nan")

    @property
    def mean(self) -> Means:
        """Means over the organs' means, each organ with the same weight."""
        organs = self.organs
        return Means(
            *(finite_mean(np.array([getattr(organ, kind) for organ in organs])) for kind in ("dice", "nsd", "hd95"))
        )

    def case_mean(self, scores: CaseScores) -> Means:
        """Returns the means over the organs that a case has."""
        reported = list(self.reported)
        return Means(*(finite_mean(values[reported]) for values in (scores.dice, scores.nsd, scores.hd95)))


def evaluate_pairs(
    pairs: Sequence[Pair],
    labels: Sequence[str] | None,
    tolerance_mm: float,
    progress: Progress | None = None,
) -> Evaluation:
    """Scores every pair of predicted and true label map.

    Args:
        pairs: pairs to compare, at least one.
        labels: index → name; None names labels by their number and lists those that occur.
        tolerance_mm: tolerance of the NSD in mm.
        progress: called with (cases done, cases in total).

    Raises:
        InputError: a file cannot be read, the grids of a pair differ, or a label has no name.
    """
    scored: list[ScoredCase] = []
    for pair in pairs:
        scored.append(score_pair(pair, labels, tolerance_mm))
        if progress:
            progress(len(scored), len(pairs))
    return Evaluation.of(scored, labels, tolerance_mm)


def _widened(scores: CaseScores, classes: int) -> CaseScores:
    """Extends the arrays to ``classes`` entries, for classes that occur only in other cases."""
    more = classes - scores.dice.size

    def wide(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.pad(values, (0, more), constant_values=np.nan)

    voxels = np.pad(scores.truth_voxels, (0, more)), np.pad(scores.predicted_voxels, (0, more))
    return CaseScores(wide(scores.dice), wide(scores.nsd), wide(scores.hd95), scores.tolerance_mm, *voxels)
