"""Separates the body from the air around it, so that windows of pure air can be skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..task import Foreground

MARGIN_VOXELS = 2
_SAMPLE_VOXELS = 2_000_000


def tissue_threshold(array: NDArray[Any], rule: Foreground) -> float:
    """Returns the raw intensity above which a voxel counts as tissue (HU for CT)."""
    if not rule.relative:
        return rule.above
    return rule.above * float(np.percentile(sample(array), 99))


def body_mask(array: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Returns a generous mask of the body.

    In every plane a voxel belongs to the body if there is tissue on both sides of it along x or along y, so lungs and
    bowel gas are inside. The mask is then dilated by two voxels along each axis. Every tissue voxel is in the mask.

    Args:
        array: [D, H, W] raw intensities.
        threshold: intensity above which a voxel is tissue.

    Returns:
        Mask [D, H, W], true in the body.
    """
    body = np.empty(array.shape, np.bool_)
    for plane, inside in zip(array, body, strict=True):
        inside[...] = plane_mask(plane, threshold)
    return _grown(body, 0)


def plane_mask(plane: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Returns the body mask [H, W] of one plane, dilated within it; `body_mask` also dilates across planes."""
    tissue = plane > threshold
    return _grown(_grown(_between(tissue, 0) | _between(tissue, 1), 0), 1)


def sample(array: NDArray[Any]) -> NDArray[Any]:
    """Returns an evenly strided view of at most about two million voxels, enough for percentiles."""
    step = max(1, int(np.ceil((array.size / _SAMPLE_VOXELS) ** (1 / array.ndim))))
    return array[(slice(None, None, step),) * array.ndim]


def _between(tissue: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Returns a plane in which each line along ``axis`` is true from its first to its last true voxel."""
    size = tissue.shape[axis]
    found = tissue.any(axis=axis)
    first = np.where(found, tissue.argmax(axis=axis), size)
    last = np.where(found, size - 1 - np.flip(tissue, axis).argmax(axis=axis), -1)
    index = np.arange(size)[:, None] if axis == 0 else np.arange(size)
    first, last = (first, last) if axis == 0 else (first[:, None], last[:, None])
    return (index >= first) & (index <= last)


def _grown(mask: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    result = mask.copy()
    grown, original = np.moveaxis(result, axis, 0), np.moveaxis(mask, axis, 0)
    for shift in range(1, min(MARGIN_VOXELS, len(grown) - 1) + 1):
        grown[shift:] |= original[:-shift]
        grown[:-shift] |= original[shift:]
    return result
