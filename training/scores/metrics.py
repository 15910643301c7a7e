"""Scores a predicted label map against the true one: Dice, normalised surface Dice (NSD) and HD95, per class.

An organ that is absent in the true label map has the score NaN: means leave it out, they never count it as 0 or 1. An
organ that is present but was missed has Dice 0, NSD 0 and an infinite HD95; a mean HD95 covers only finite values and
must be shown with the number of missed organs. docs/evaluation.md has the formulas and the differences to other
programs.
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
# NIfTI headers store spacings as float32: a surface one voxel of 1 mm away may be at 1.00000006 mm, yet is within 1 mm.
_ROUNDING_MM = 1e-4


@dataclass(frozen=True)
class CaseScores:
    """One case's scores, as arrays [num_classes] indexed by label.

    Attributes:
        dice: Dice, 0…1; NaN if the true label map lacks the class. Index 0 is the background.
        nsd: share of both surfaces within ``tolerance_mm`` of the other surface, 0…1; NaN as for Dice, and for the
            background.
        hd95: larger of the two directed 95th percentiles of surface distance, in mm; NaN as for NSD, infinite if the
            class was missed.
        tolerance_mm: tolerance of the NSD in mm.
        truth_voxels: number of voxels of each class in the true label map.
        predicted_voxels: number of voxels of each class in the prediction.
    """

    dice: Scores
    nsd: Scores
    hd95: Scores
    tolerance_mm: float
    truth_voxels: Counts
    predicted_voxels: Counts

    @property
    def spurious(self) -> NDArray[np.bool_]:
        """Whether each class was predicted although the true label map lacks it."""
        return (self.predicted_voxels > 0) & (self.truth_voxels == 0)


def dice_per_class(pred: Labels, truth: Labels, num_classes: int, ignored: Mask | None = None) -> Scores:
    """Computes `Dice = 2 |A∩B| / (|A| + |B|)` per class.

    >>> dice_per_class(np.array([0, 1, 1]), np.array([0, 0, 1]), 3).round(3)
    array([0.667, 0.667,   nan])

    Args:
        pred: predicted integer labels, any shape.
        truth: true integer labels, the same shape.
        num_classes: number of classes, background included; labels ≥ ``num_classes`` belong to no class.
        ignored: mask of the voxels to leave out, the same shape; None compares all voxels.

    Returns:
        Dice [num_classes] with the background at index 0; NaN if the true labels lack the class.

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

    Ignored voxels are not compared. Where an organ borders only on ignored voxels it has no surface: a surface needs a
    voxel that is known to be outside the organ. An organ with no known surface at all is compared by its borders to
    ignored voxels.

    Args:
        pred: predicted integer labels, three axes.
        truth: true integer labels, the same shape.
        num_classes: number of classes, background included.
        spacing: mm along the arrays' axes, in their order; for a sheared grid the axes as columns, [3, 3].
        tolerance_mm: tolerance of the NSD in mm; surfaces this close agree.
        ignored: mask of the voxels to leave out, the same shape; None compares all voxels.

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
        # The smallest box around both masks contains both surfaces. With ignored voxels it needs a margin of one voxel:
        # the ignored voxels beside the organ decide where it has no surface.
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
    """Returns the mean of the finite values; NaN without finite values."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def _without(labels: Labels, ignored: Mask) -> Labels:
    """Returns a copy of the labels with ignored voxels set to background."""
    copy = labels.copy(order="K")
    copy[ignored] = 0
    return copy


def _voxels(pred: Labels, truth: Labels, num_classes: int, ignored: Mask | None) -> tuple[Counts, Counts, Counts]:
    """Counts each class's voxels in the prediction, the truth and both; by planes, because bincount copies to int64."""
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
    """Returns the smallest box around each class, labels 1… in order; None for an absent class."""
    try:
        from scipy.ndimage import find_objects
    except ImportError:
        raise MissingExtraError("scipy", "train") from None

    return find_objects(labels, num_classes - 1)[: num_classes - 1]


def _surface_scores(
    found: Mask, there: Mask, spacing: Spacing | Axes, tolerance_mm: float, unknown: Mask | None
) -> tuple[float, float]:
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
    if not directed or not area:  # no known surface at all: use the borders to ignored voxels
        return _surface_scores(found, there, spacing, tolerance_mm, None)
    return float(within / area), float(max(directed))
