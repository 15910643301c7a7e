"""Separates the body from the air around it, so that windows of pure air can be skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..task import Foreground

MARGIN_VOXELS = 2
_SAMPLE_VOXELS = 2_000_000
_AIR_HU = -950.0  # lung is above it; air is below, also in the mean of a noisy stretch of border
_HIGHEST_HU_THRESHOLD = -100.0  # thresholds of tissue in HU are below fat; those of MR and of scaled values above
_STRETCH = (3, 9)  # voxels across and along the border


def tissue_threshold(array: NDArray[Any], rule: Foreground) -> float:
    """Returns the raw intensity above which a voxel counts as tissue (HU for CT)."""
    if not rule.relative:
        return rule.above
    return rule.above * float(np.percentile(sample(array), 99))


def body_mask(array: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Returns a generous mask of the body.

    In every plane a voxel belongs to the body if there is tissue on both sides of it along x or along y, so lungs and
    bowel gas are inside. The mask is then dilated by two voxels along each axis. Every tissue voxel is in the mask.

    In CT, the border of a plane counts as tissue where it is above -950 HU, in the mean of 3×9 voxels, for lines that
    hold tissue: so a lung that the field of view cuts is inside. A lung that a round field of view cuts within the
    plane, beyond which the scan holds air, is not, unless there is tissue on both sides along the other axis.

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
    in_hu = _AIR_HU < threshold <= _HIGHEST_HU_THRESHOLD
    columns, rows = (_between(_with_cut_ends(tissue, plane, axis) if in_hu else tissue, axis) for axis in (0, 1))
    return _grown(_grown(columns | rows, 0), 1)


def sample(array: NDArray[Any]) -> NDArray[Any]:
    """Returns an evenly strided view of at most about two million voxels, enough for percentiles."""
    step = max(1, int(np.ceil((array.size / _SAMPLE_VOXELS) ** (1 / array.ndim))))
    return array[(slice(None, None, step),) * array.ndim]


def _with_cut_ends(tissue: NDArray[np.bool_], plane: NDArray[Any], axis: int) -> NDArray[np.bool_]:
    """Returns ``tissue`` with the ends of each line along ``axis`` true where the image's border cuts the body."""
    result = tissue.copy()
    ends, lines, has_tissue = np.moveaxis(result, axis, 0), np.moveaxis(plane, axis, 0), tissue.any(axis=axis)
    across, along = _STRETCH
    for end, stretch in ((0, lines[:across]), (-1, lines[-across:])):
        border = np.pad(stretch.mean(axis=0), along // 2, mode="edge")
        ends[end] |= has_tissue & (np.convolve(border, np.full(along, 1 / along), mode="valid") > _AIR_HU)
    return result


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
