"""Scores of predicted label files against true ones: which belong together, and what comes out per organ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import InputError
from ..runtime.scans.geometry import Grid
from ..runtime.scans.nifti import read_labels
from .dataset import ENDINGS, Case, stem
from .metrics import CaseScores, evaluate_case, finite_mean


@dataclass(frozen=True)
class Pair:
    """A prediction and the truth it is scored against."""

    name: str
    prediction: Path
    truth: Path


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
        cases: (name, scores) per case.
        tolerance_mm: of the NSD.
    """

    labels: tuple[str, ...]
    cases: tuple[tuple[str, CaseScores], ...]
    tolerance_mm: float

    @property
    def organs(self) -> tuple[OrganSummary, ...]:
        """One summary per label above 0."""

        def of(label: int, name: str) -> OrganSummary:
            dice, nsd, hd95 = (
                np.array([getattr(scores, kind)[label] for _, scores in self.cases]) for kind in ("dice", "nsd", "hd95")
            )
            spurious = sum(bool(scores.spurious[label]) for _, scores in self.cases)
            means = finite_mean(dice), finite_mean(nsd), finite_mean(hd95)
            return OrganSummary(name, *means, int(np.isfinite(dice).sum()), int(np.isinf(hd95).sum()), spurious)

        return tuple(of(label, name) for label, name in enumerate(self.labels) if label > 0)


def pairs_of_folders(predictions: Path, truths: Path) -> list[Pair]:
    """Pairs the files of two folders by name.

    Raises:
        InputError: no truth at all, or truths without a prediction.
    """
    files = sorted(f for f in truths.iterdir() if f.name.endswith(ENDINGS) and f.name[0] != ".")
    if not files:
        raise InputError(f'evaluate: expected .nii or .nii.gz files in "{truths.name}", found none')
    return _paired(predictions, [(stem(file.name), file) for file in files])


def pairs_of_cases(predictions: Path, cases: Sequence[Case]) -> list[Pair]:
    """Pairs a data set's labelled cases with the files of their names in a folder.

    Raises:
        InputError: cases without a prediction, or no case with a label map.
    """
    labelled = [(case.name, case.label) for case in cases if case.label is not None]
    if not labelled:
        raise InputError("evaluate: expected at least one case with a label map in this list, found none")
    return _paired(predictions, labelled)


def _paired(predictions: Path, truths: Sequence[tuple[str, Path]]) -> list[Pair]:
    pairs: list[Pair] = []
    missing: list[str] = []
    for name, truth in truths:
        found = [file for file in (predictions / f"{name}{ending}" for ending in ENDINGS) if file.is_file()]
        if len(found) == 1:
            pairs.append(Pair(name, found[0], truth))
        else:
            missing.append(name)
    if missing:
        listed = ", ".join(missing[:5]) + (f" … and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise InputError(
            f'evaluate: expected one prediction (.nii.gz or .nii) per case in "{predictions.name}"; '
            f"{len(missing)} of {len(truths)} have none or two: {listed}"
        )
    return pairs


def evaluate_pairs(
    pairs: Sequence[Pair],
    labels: Sequence[str] | None,
    tolerance_mm: float,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Scores every pair.

    Args:
        pairs: what to compare.
        labels: index → name; if not given, labels are called by their number and the highest found is the last.
        tolerance_mm: of the NSD.
        progress: called with (done, total).

    Raises:
        InputError: an unreadable file, grids that differ, or a label beyond the names.
    """
    scored: list[tuple[str, CaseScores]] = []
    for number, pair in enumerate(pairs):
        prediction, truth = read_labels(pair.prediction), read_labels(pair.truth)
        _check_grids(prediction.grid, truth.grid, pair.name)
        highest = int(max(prediction.data.max(), truth.data.max()))
        if labels is not None and highest >= len(labels):
            raise InputError(
                f'case "{pair.name}": label {highest} has no name; there are names for 0…{len(labels) - 1}'
            )
        classes = len(labels) if labels is not None else highest + 1
        scored.append(
            (pair.name, evaluate_case(prediction.data, truth.data, classes, truth.grid.spacing, tolerance_mm))
        )
        if progress:
            progress(number + 1, len(pairs))
    classes = max(scores.dice.size for _, scores in scored)
    names = tuple(labels) if labels is not None else ("background", *(f"label {n}" for n in range(1, classes)))
    return Evaluation(names, tuple((name, _widened(scores, classes)) for name, scores in scored), tolerance_mm)


def _widened(scores: CaseScores, classes: int) -> CaseScores:
    """Adds the classes that other cases have and this one lacks."""
    more = classes - scores.dice.size

    def wide(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.pad(values, (0, more), constant_values=np.nan)

    spurious = np.pad(scores.spurious, (0, more))
    return CaseScores(wide(scores.dice), wide(scores.nsd), wide(scores.hd95), scores.tolerance_mm, spurious)


def _check_grids(prediction: Grid, truth: Grid, name: str) -> None:
    if prediction.shape != truth.shape:
        raise InputError(f'case "{name}": expected a prediction on the truth\'s grid {truth!r}, got {prediction!r}')
    if not prediction.coincides(truth):
        apart = prediction.distance(truth)
        raise InputError(
            f'case "{name}": prediction {prediction!r} and truth {truth!r} lie up to {apart:.3g} mm apart; '
            "write the prediction on the scan's own grid"
        )
