"""Scores of predicted label files against true ones: what comes out per case and per organ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray

from ...runtime.errors import InputError
from ...runtime.scans.nifti import read_labels
from ...runtime.scans.nifti_file import NiftiFile
from ...runtime.scans.volume import Volume
from .metrics import CaseScores, evaluate_case, finite_mean
from .pairing import Pair


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
    """

    labels: tuple[str, ...]
    listed: tuple[int, ...]
    cases: tuple[tuple[str, CaseScores], ...]
    tolerance_mm: float
    turned: tuple[str, ...] = ()

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
        InputError: an unreadable file, grids that differ or are sheared, or a label beyond the names.
    """
    scored: list[tuple[str, CaseScores]] = []
    turned: list[str] = []
    for number, pair in enumerate(pairs):
        truth = _read(pair.truth, pair.name, "truth")
        prediction = _read(pair.prediction, pair.name, "prediction")
        in_place = _turned(prediction, truth) if prediction.grid.axes != truth.grid.axes else None
        if in_place and in_place.grid.coincides(truth.grid):
            prediction = in_place
            turned.append(pair.name)
        _check_grids(prediction, truth, pair.name)
        scored.append((pair.name, _scored(prediction, truth, labels, tolerance_mm, pair.name)))
        if progress:
            progress(number + 1, len(pairs))
    classes = max(scores.dice.size for _, scores in scored)
    cases = tuple((name, _widened(scores, classes)) for name, scores in scored)
    if labels is not None:
        return Evaluation(tuple(labels), tuple(range(1, classes)), cases, tolerance_mm, tuple(turned))
    names = ("background", *(f"label {n}" for n in range(1, classes)))
    occurs = np.sum([scores.truth_voxels + scores.predicted_voxels for _, scores in cases], axis=0)
    listed = tuple(label for label in range(1, classes) if occurs[label])
    return Evaluation(names, listed, cases, tolerance_mm, tuple(turned))


def _read(file: Path, name: str, role: str) -> Volume:
    try:
        return read_labels(file)
    except InputError as error:
        volumes = _volumes(file)
        if volumes > 1:
            raise InputError(
                f'case "{name}", {role}: expected one label per voxel, got {volumes} volumes in "{file.name}"; '
                "if they are probabilities per class, save their argmax"
            ) from None
        raise InputError(f'case "{name}", {role}: {error}') from None


def _volumes(file: Path) -> int:
    """Returns how many volumes a file holds, 0 if it cannot be read at all."""
    try:
        return NiftiFile.open(file, volume=0).header.volumes
    except InputError:
        return 0


def _turned(prediction: Volume, truth: Volume) -> Volume:
    """Returns the prediction along the axes of the truth: the same voxels at the same places, stored in another order.

    Other tools store label maps as LPS or RAS whatever the scan was; nothing is interpolated.
    """
    turn = ornt_transform(io_orientation(prediction.grid.affine), axcodes2ornt(truth.grid.axes))
    return Volume(apply_orientation(prediction.data, turn), prediction.grid.reoriented(truth.grid.axes))


def _check_grids(prediction: Volume, truth: Volume, name: str) -> None:
    if prediction.grid.shape != truth.grid.shape:
        raise InputError(
            f'case "{name}": expected a prediction on the truth\'s grid {truth.grid!r}, got {prediction.grid!r}; '
            "write the prediction on the scan's own grid"
        )
    if not prediction.grid.coincides(truth.grid):
        apart = prediction.grid.distance(truth.grid)
        raise InputError(
            f'case "{name}": prediction {prediction.grid!r} and truth {truth.grid!r} lie up to {apart:.3g} mm apart; '
            "write the prediction on the scan's own grid"
        )
    if truth.grid.is_sheared:
        raise InputError(
            f'case "{name}": expected axes at right angles, got {truth.grid!r}: voxels of a sheared grid have no '
            "spacing to measure distances with; resample scan and truth onto a straight grid"
        )


def _scored(
    prediction: Volume, truth: Volume, labels: Sequence[str] | None, tolerance_mm: float, name: str
) -> CaseScores:
    highest = {"truth": int(truth.data.max()), "prediction": int(prediction.data.max())}
    for role, label in highest.items():
        if labels is not None and label >= len(labels):
            raise InputError(
                f'case "{name}": label {label} of the {role} has no name; there are names for 0…{len(labels) - 1}. '
                "Give names for all labels (--labels, --task), or check that this is the label map"
            )
    classes = len(labels) if labels is not None else max(highest.values()) + 1
    return evaluate_case(prediction.data, truth.data, classes, truth.grid.spacing, tolerance_mm)


def _widened(scores: CaseScores, classes: int) -> CaseScores:
    """Adds the classes that other cases have and this one lacks."""
    more = classes - scores.dice.size

    def wide(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.pad(values, (0, more), constant_values=np.nan)

    voxels = np.pad(scores.truth_voxels, (0, more)), np.pad(scores.predicted_voxels, (0, more))
    return CaseScores(wide(scores.dice), wide(scores.nsd), wide(scores.hd95), scores.tolerance_mm, *voxels)
