"""Segments the gate cases with a variant through the whole runtime, and computes what it lost against fp32."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...runtime.bundles.figures import DiceDrop, SpuriousVolume
from ...runtime.bundles.variant import Variant
from ...runtime.engine_selection.timing import timed
from ...runtime.engines import CPU, default_threads
from ...runtime.scans.geometry import Grid
from ...runtime.scans.nifti import read_volume
from ...runtime.segmenter import Segmenter
from ...training.scores.metrics import dice_per_class
from ..gate_cases import GateCase, gate_truth
from ..parity import NotFiniteError

_UPPER = 0.975  # quantile at the upper end of a 95 % interval

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class PackedLabels:
    """A label map [X, Y, Z], compressed: those of all gate cases and variants are in memory at once."""

    shape: tuple[int, ...]
    dtype: str
    content: bytes

    @classmethod
    def of(cls, labels: NDArray[np.integer]) -> PackedLabels:
        """Compresses a label map."""
        return cls(labels.shape, labels.dtype.str, zlib.compress(labels.tobytes(), level=1))

    def array(self) -> NDArray[np.integer]:
        """Returns the label map."""
        return np.frombuffer(zlib.decompress(self.content), self.dtype).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class VariantScores:
    """The results of one variant on the gate cases.

    Attributes:
        names: label names, by index.
        dice: [cases, classes], NaN where a case lacks the class; the background is column 0.
        labels: label map of each case.
        windows: number of windows of each case.
        seconds: time of each case, corrected for other programs (see `timed`).
        volumes: [cases, classes] in ml, what was found of each class in voxels with a known label.
    """

    names: tuple[str, ...]
    dice: Scores
    labels: tuple[PackedLabels, ...]
    windows: tuple[int, ...]
    seconds: tuple[float, ...]
    volumes: Scores

    @property
    def organ_means(self) -> dict[str, float]:
        """Label name → mean Dice, without the background and without organs that no case has."""
        return {
            name: float(np.nanmean(self.dice[:, organ]))
            for organ, name in enumerate(self.names)
            if organ and not np.isnan(self.dice[:, organ]).all()
        }


def segment_cases(
    bundle: Path,
    variant: Variant,
    cases: Sequence[GateCase],
    *,
    threads: int | None = None,
    ignore: int | None = None,
    overlap: float | None = None,
    use_locator: bool = True,
    starting: Callable[[], None] | None = None,
) -> VariantScores:
    """Segments the gate cases with one variant and scores every class.

    Args:
        bundle: a complete bundle directory.
        variant: the variant to run.
        cases: (image, label map on the same grid), at least one.
        threads: CPU threads; None for all.
        ignore: value of the label maps that marks voxels to leave out; None compares all voxels.
        overlap: overlap of windows; None for the one the bundle recommends.
        use_locator: whether the bundle's locator, if it has one, leaves out windows.
        starting: called before each case.

    Raises:
        InputError: a case is refused, or its label map is on another grid.
        NotFiniteError: the variant returns NaN or infinity in a window of a case. The runtime leaves such a window out,
            and where others overlap it, Dice may not show it.
    """
    dice: list[Scores] = []
    volumes: list[Scores] = []
    labels: list[PackedLabels] = []
    windows: list[int] = []
    seconds: list[float] = []
    with Segmenter.load(bundle, variant.engine, variant.precision, threads, self_test=False) as segmenter:
        cpu_threads = (threads or default_threads()) if segmenter.engine.device == CPU else None
        for number, case in enumerate(cases, start=1):
            if starting is not None:
                starting()
            scan = read_volume(case[0])
            truth = gate_truth(case, number, scan.grid)
            segment = partial(segmenter.segment, scan, overlap, use_locator=use_locator)
            run = timed(segment, cpu_threads)
            if run.result.windows_not_finite:
                raise NotFiniteError(
                    f"the output of {variant.name} holds NaN or infinity in {run.result.windows_not_finite} of "
                    f"{run.result.windows} windows of gate case {number}"
                )
            ignored = None if ignore is None else truth.data == ignore
            dice.append(dice_per_class(run.result.labels, truth.data, segmenter.task.num_classes, ignored))
            volumes.append(_volumes(run.result.labels, segmenter.task.num_classes, ignored, scan.grid))
            labels.append(PackedLabels.of(run.result.labels))
            windows.append(run.result.windows)
            seconds.append(run.seconds)
    return VariantScores(
        segmenter.task.labels, np.stack(dice), tuple(labels), tuple(windows), tuple(seconds), np.stack(volumes)
    )


def _volumes(labels: NDArray[np.integer], num_classes: int, ignored: NDArray[np.bool_] | None, grid: Grid) -> Scores:
    known = labels.ravel() if ignored is None else labels[~ignored]
    return np.bincount(known, minlength=num_classes)[:num_classes] * (abs(np.linalg.det(grid.affine[:3, :3])) / 1000)


def spurious_volumes(variant: VariantScores, reference: VariantScores) -> dict[str, SpuriousVolume]:
    """Returns label name → what a variant finds of an organ in the cases without it.

    Organs that every case has are left out.

    Args:
        variant: results of the variant.
        reference: results of fp32 with the same engine.
    """
    absent = np.isnan(reference.dice)
    excess = variant.volumes - reference.volumes
    return {
        name: SpuriousVolume(
            cases=int(absent[:, organ].sum()),
            excess_ml=float(excess[absent[:, organ], organ].max()),
            organ_ml=float(reference.volumes[:, organ].max()),
        )
        for organ, name in enumerate(variant.names)
        if organ and absent[:, organ].any()
    }


@dataclass(frozen=True)
class DiceDrops:
    """What a variant lost against fp32.

    Attributes:
        mean: the mean over the organs.
        organs: label name → the loss of one organ.
    """

    mean: DiceDrop
    organs: dict[str, DiceDrop]


def dice_drops(variant: VariantScores, reference: VariantScores) -> DiceDrops | None:
    """Computes what a variant lost against fp32 on the same cases; None if no case has an organ.

    The interval is Student's t over the cases, the independent samples; both variants segmented the same cases, so that
    the differences are paired. It assumes that losses scatter about normally, and holds from two cases on, where
    resampling them gives far too narrow an interval. The organs of a case lose together, so the interval of their mean
    is that of what each case adds to it; where an organ is in fewer cases than others, its degrees of freedom are those
    of Welch and Satterthwaite. With an organ in two cases it may then hold the loss in 90 of 100 trials only.

    Args:
        variant: results of the variant.
        reference: results of fp32 with the same engine.
    """
    losses = (reference.dice - variant.dice)[:, 1:]
    known = ~np.isnan(losses)
    present = np.flatnonzero(known.any(axis=0))
    if not present.size:
        return None
    losses, known = losses[:, present], known[:, present]
    counts, means = known.sum(axis=0), np.nanmean(losses, axis=0)
    # What each case adds to the error of an organ's mean, scaled so that its squares add up to the variance of that
    # mean; the mean over the organs is what it adds to the error of theirs.
    shares = np.where(known, losses - means, 0.0) / np.sqrt(counts * np.maximum(counts - 1, 1))
    names = [variant.names[1 + organ] for organ in present]
    columns = zip(names, means, shares.T, counts, strict=True)
    organs = {name: _drop(mean, share, count - 1) for name, mean, share, count in columns}
    return DiceDrops(_drop(means.mean(), shares.mean(axis=1), _degrees_of_freedom(shares, known)), organs)


def _degrees_of_freedom(shares: Scores, known: NDArray[np.bool_]) -> float:
    """Returns the degrees of freedom of the mean over the organs (Welch 1947), 0 where an organ is in a single case.

    Two organs share those of the cases that both are in: organs without a common case have Welch's, organs in the same
    n cases n - 1.

    Args:
        shares: [cases, organs] what each case adds to the error of an organ's mean.
        known: [cases, organs] whether the case has the organ.
    """
    counts, variances = known.sum(axis=0), np.square(shares).sum(axis=0)
    if counts.min() == 1 or not variances.any():  # without scatter, the interval is a point
        return float(counts.min() - 1)
    together = known.astype(float).T @ known
    shared = together * (1 - 1 / counts - 1 / counts[:, None] + together / np.outer(counts, counts))
    weights = variances / (counts - 1)
    return float(variances.sum() ** 2 / (weights @ shared @ weights))


def _drop(mean: float, shares: Scores, freedom: float) -> DiceDrop:
    """Returns a loss with its interval; without one where it is of a single case, which says nothing about scatter.

    Args:
        mean: the loss.
        shares: [cases] what each case adds to the error of the mean; the sum of the squares is its variance.
        freedom: degrees of freedom; 0 for no interval.
    """
    if not freedom:
        return DiceDrop(mean=float(mean))
    from scipy.special import stdtrit

    half = stdtrit(freedom, _UPPER) * np.sqrt(np.square(shares).sum())
    return DiceDrop(mean=float(mean), low=float(mean - half), high=float(mean + half))
