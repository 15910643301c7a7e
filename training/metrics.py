"""Scores of a label map against the truth: Dice, normalised surface Dice (NSD) and HD95, per class.

An organ that is absent in the truth has no score: NaN, and left out of means, never counted as 0 or 1. An organ that
is there but was missed has Dice 0, NSD 0 and HD95 infinite; a mean HD95 covers the cases where it is finite, and is to
be shown with the number of missed ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import InputError, MissingExtraError

Labels = NDArray[Any]
Scores = NDArray[np.float64]

DEFAULT_TOLERANCE_MM = 1.0


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
        spurious: whether the class was predicted though the truth lacks it.
    """

    dice: Scores
    nsd: Scores
    hd95: Scores
    tolerance_mm: float
    spurious: NDArray[np.bool_]


def dice_per_class(pred: Labels, truth: Labels, num_classes: int) -> Scores:
    """Returns 2|A∩B| / (|A| + |B|) per class, [num_classes] with the background at index 0.

    Counted in one pass over the label maps: one-hot volumes of every class would take gigabytes for a large scan.

    Args:
        pred: integer labels, any shape.
        truth: integer labels, the same shape.
        num_classes: classes, background included; labels from there on are scored as no class.

    Returns:
        NaN where the truth lacks the class.

    Raises:
        InputError: the shapes differ.
    """
    _check_shapes(pred, truth)
    predicted, true, both = (
        np.bincount(values.ravel().astype(np.int64, copy=False), minlength=num_classes)[:num_classes].astype(np.float64)
        for values in (pred, truth, truth[pred == truth])
    )
    return np.divide(2 * both, predicted + true, out=np.full(num_classes, np.nan), where=true > 0)


def evaluate_case(
    pred: Labels,
    truth: Labels,
    num_classes: int,
    spacing: tuple[float, float, float],
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
) -> CaseScores:
    """Scores one case.

    Args:
        pred: integer labels, three axes.
        truth: integer labels, the same shape.
        num_classes: classes, background included.
        spacing: mm along the arrays' axes, in their order.
        tolerance_mm: of the NSD; surfaces closer than this agree.

    Raises:
        InputError: the shapes differ.
    """
    dice = dice_per_class(pred, truth, num_classes)
    nsd, hd95 = np.full(num_classes, np.nan), np.full(num_classes, np.nan)
    spurious = np.zeros(num_classes, np.bool_)
    for label in range(1, num_classes):
        found, there = pred == label, truth == label
        spurious[label] = found.any() and not there.any()
        if not there.any():
            continue
        nsd[label], hd95[label] = _surface_scores(found, there, spacing, tolerance_mm) if found.any() else (0.0, np.inf)
    return CaseScores(dice, nsd, hd95, tolerance_mm, spurious)


def finite_mean(values: Scores) -> float:
    """Returns the mean of the finite values; NaN if there is none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def _check_shapes(pred: Labels, truth: Labels) -> None:
    if pred.shape != truth.shape:
        raise InputError(f"scores: expected a prediction of the truth's shape {truth.shape}, got {pred.shape}")


def _surface_scores(
    found: NDArray[np.bool_], there: NDArray[np.bool_], spacing: tuple[float, float, float], tolerance_mm: float
) -> tuple[float, float]:
    """Returns NSD and HD95 of two non-empty masks, by MONAI."""
    import warnings

    try:
        import torch
        from monai.metrics.hausdorff_distance import compute_hausdorff_distance
        from monai.metrics.surface_dice import compute_surface_dice
    except ImportError as error:
        raise MissingExtraError(error.name or "monai", "train") from None

    # Surfaces are found inside the smallest box around both, with a margin so that none is cut at a border.
    either = np.nonzero(found | there)
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in either)
    a, b = (torch.from_numpy(np.pad(mask[box], 1).astype(np.float32))[None, None] for mask in (found, there))
    mm = [float(step) for step in spacing]
    with warnings.catch_warnings():
        # MONAI 1.6 warns of an argument of its own function that it passes itself.
        warnings.filterwarnings("ignore", message=".*get_mask_edges.*", category=FutureWarning)
        nsd = compute_surface_dice(a, b, [tolerance_mm], include_background=True, spacing=mm, use_subvoxels=True)
        hd95 = compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=mm)
    return float(nsd), float(hd95)
