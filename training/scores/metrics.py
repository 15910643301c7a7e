"""Scores of a label map against the truth: Dice, normalised surface Dice (NSD) and HD95, per class.

An organ that is absent in the truth has no score: NaN, and left out of means, never counted as 0 or 1. An organ that
is there but was missed has Dice 0, NSD 0 and HD95 infinite; a mean HD95 covers the cases where it is finite, and is to
be shown with the number of missed ones. docs/evaluation.md has the formulas and what other programs do differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import InputError, MissingExtraError
from .surfaces import Axes, Mask, Spacing, surface_elements, surface_voxels

Labels = NDArray[Any]
Scores = NDArray[np.float64]
Counts = NDArray[np.int64]

DEFAULT_TOLERANCE_MM = 1.0
# NIfTI headers hold spacings as float32: a surface one voxel of 1 mm away may lie at 1.00000006 mm, and is within 1 mm.
_ROUNDING_MM = 1e-4


@dataclass(frozen=True)
class CaseScores:
    """One case's scores, arrays [num_classes] indexed by label.

    Attributes:
        dice: 0…1; NaN where the truth lacks the class. Index 0 is the background.
        nsd: 0…1, the share of both surfaces that lies within ``tolerance_mm`` of the other; NaN as for Dice, and for
            the background.
        hd95: mm, the larger of the two directed 95th percentiles of surface distance; NaN as for NSD, infinite where
            the class was missed.
        tolerance_mm: of the NSD.
        truth_voxels: how many voxels the truth gives each class.
        predicted_voxels: how many the prediction gives it.
    """

    dice: Scores
    nsd: Scores
    hd95: Scores
    tolerance_mm: float
    truth_voxels: Counts
    predicted_voxels: Counts

    @property
    def spurious(self) -> NDArray[np.bool_]:
        """Whether a class was predicted though the truth lacks it."""
        return (self.predicted_voxels > 0) & (self.truth_voxels == 0)


def dice_per_class(pred: Labels, truth: Labels, num_classes: int, ignored: Mask | None = None) -> Scores:
    """Returns 2|A∩B| / (|A| + |B|) per class, [num_classes] with the background at index 0.

    Args:
        pred: integer labels, any shape.
        truth: integer labels, the same shape.
        num_classes: classes, background included; labels from there on are scored as no class.
        ignored: voxels that are not compared, the same shape; None compares all of them.

    Returns:
        NaN where the truth lacks the class.

    Raises:
        InputError: the shapes differ.
    """
    return _dice(*_voxels(pred, truth, num_classes, ignored))


def evaluate_case(
    pred: Labels,
    truth: Labels,
    num_classes: int,
    spacing: Spacing | Axes,
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    ignored: Mask | None = None,
) -> CaseScores:
    """Scores one case.

    Voxels about which nothing is known are not compared, and where an organ ends only because they begin there is no
    surface to measure from: a border counts where a voxel that is known to be outside touches it.

    Args:
        pred: integer labels, three axes.
        truth: integer labels, the same shape.
        num_classes: classes, background included.
        spacing: mm along the arrays' axes, in their order; of a sheared grid the axes themselves, [3, 3].
        tolerance_mm: of the NSD; surfaces as close as this agree.
        ignored: voxels that are not compared, the same shape; None compares all of them.

    Raises:
        InputError: the shapes differ.
    """
    predicted, true, both = _voxels(pred, truth, num_classes, ignored)
    if ignored is not None:
        pred, truth = _without(pred, ignored), _without(truth, ignored)
    nsd, hd95 = np.full(num_classes, np.nan), np.full(num_classes, np.nan)
    boxes = zip(_boxes(pred, num_classes), _boxes(truth, num_classes), strict=True)
    for label, (found, there) in enumerate(boxes, start=1):
        if there is not None:
            nsd[label], hd95[label] = 0.0, np.inf
        if found is None or there is None:
            continue
        # Surfaces are looked for inside the smallest box around both; all distances between them lie in it.
        # With a voxel more around it where some are ignored: those beside the organ say where it has no border.
        more = 0 if ignored is None else 1
        box = tuple(
            slice(max(0, min(a.start, b.start) - more), max(a.stop, b.stop) + more)
            for a, b in zip(found, there, strict=True)
        )
        unknown = None if ignored is None else ignored[box]
        masks = pred[box] == label, truth[box] == label
        nsd[label], hd95[label] = _surface_scores(*masks, spacing, tolerance_mm, unknown)
    return CaseScores(_dice(predicted, true, both), nsd, hd95, tolerance_mm, true, predicted)


def finite_mean(values: Scores) -> float:
    """Returns the mean of the finite values; NaN if there is none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def _without(labels: Labels, ignored: Mask) -> Labels:
    """Returns a copy with background in place of what is ignored."""
    copy = labels.copy(order="K")
    copy[ignored] = 0
    return copy


def _voxels(
    pred: Labels, truth: Labels, num_classes: int, ignored: Mask | None
) -> tuple[Counts, Counts, Counts]:  # fmt: skip
    """Counts each class's voxels in the prediction, the truth and both, plane by plane: counting makes int64 copies."""
    if pred.shape != truth.shape:
        raise InputError(f"scores: expected a prediction of the truth's shape {truth.shape}, got {pred.shape}")
    pred, truth = np.atleast_2d(pred), np.atleast_2d(truth)
    slowest = int(np.argmax(np.abs(truth.strides)))
    counts = np.zeros((3, num_classes), np.int64)
    known = None if ignored is None else np.moveaxis(~np.atleast_2d(ignored), slowest, 0)
    planes = zip(np.moveaxis(pred, slowest, 0), np.moveaxis(truth, slowest, 0), strict=True)
    for number, (found, there) in enumerate(planes):
        if known is not None:
            found, there = found[known[number]], there[known[number]]
        for row, values in enumerate((found, there, there[found == there])):
            counts[row] += np.bincount(values.ravel().astype(np.int64), minlength=num_classes)[:num_classes]
    return counts[0], counts[1], counts[2]


def _dice(predicted: Counts, true: Counts, both: Counts) -> Scores:
    return np.divide(2.0 * both, predicted + true, out=np.full(true.size, np.nan), where=true > 0)


def _boxes(labels: Labels, num_classes: int) -> list[tuple[slice, ...] | None]:
    """Returns the smallest box around each class, labels 1… in order, None where it is absent."""
    try:
        from scipy.ndimage import find_objects
    except ImportError:
        raise MissingExtraError("scipy", "train") from None

    return find_objects(labels, num_classes - 1)[: num_classes - 1]


def _surface_scores(
    found: Mask, there: Mask, spacing: Spacing | Axes, tolerance_mm: float, unknown: Mask | None
) -> tuple[float, float]:  # fmt: skip
    """Returns NSD and HD95 of two non-empty masks."""
    within, area = 0.0, 0.0
    elements = [surface_elements(mask, spacing, unknown) for mask in (found, there)]
    for surface, other in (elements, elements[::-1]):
        agrees = surface.distances_to(other) <= tolerance_mm + _ROUNDING_MM
        within, area = within + surface.areas[agrees].sum(), area + surface.areas.sum()
    voxels = [surface_voxels(mask, spacing, unknown) for mask in (found, there)]
    directed = [
        np.percentile(surface.distances_to(other)[surface.areas > 0], 95)
        for surface, other in (voxels, voxels[::-1])
        if surface.areas.any()
    ]
    if not directed or not area:  # no border of either is known: those towards ignored voxels have to do
        return _surface_scores(found, there, spacing, tolerance_mm, None)
    return float(within / area), float(max(directed))
