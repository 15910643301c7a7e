"""Chooses a locator's threshold and margin so that its region holds every organ voxel of some labelled scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...runtime.scans.geometry import Grid
    from ...runtime.scans.volume import Volume
    from ...runtime.windows.organ_region import OrganOdds

THRESHOLDS = (0.5, 0.2, 0.05)
SAFETY_VOXELS = 2  # of the coarse grid, added to the margin with which no organ voxel of the scans is missed
MOST_VOXELS = 10  # a locator that misses an organ by more does not know where it is
_CHUNK = 1_000_000  # voxels converted to the coarse grid at a time


@dataclass(frozen=True)
class LocatorSettings:
    """Threshold and margin, and what they were chosen by.

    Attributes:
        threshold: probability of an organ from which on a voxel belongs to the region.
        margin_mm: distance by which the region is grown along each axis.
        recall: fraction of the organs' voxels in the region before it is grown.
    """

    threshold: float
    margin_mm: float
    recall: float


@dataclass(frozen=True, eq=False)
class LocatedCase:
    """A labelled scan, as the locator sees it.

    Attributes:
        odds: the locator's result.
        organs: [D, H, W] number of organ voxels of the scan's label map in each voxel of the locator's grid.
    """

    odds: OrganOdds
    organs: NDArray[np.int64]


def choose_settings(cases: Sequence[LocatedCase], step_mm: float) -> LocatorSettings | None:
    """Chooses threshold and margin.

    For each threshold the region is grown by whole coarse voxels until it holds every voxel with an organ, and by two
    more for safety. The threshold that leaves the smallest regions is chosen.

    Args:
        cases: labelled scans, at least one of them with an organ.
        step_mm: largest spacing of the locator's grid.

    Returns:
        None where organs lie more than ten voxels outside the region with every threshold.
    """
    best: tuple[float, LocatorSettings] | None = None
    organ_voxels = sum(int(case.organs.sum()) for case in cases)
    for threshold in THRESHOLDS:
        masks = [case.odds.mask(threshold) for case in cases]
        missed = [_voxels_to(mask, case.organs > 0) for mask, case in zip(masks, cases, strict=True)]
        margin = max(missed) + SAFETY_VOXELS
        if margin > MOST_VOXELS + SAFETY_VOXELS:
            continue
        found = sum(int(case.organs[mask].sum()) for mask, case in zip(masks, cases, strict=True))
        size = float(np.mean([grown(mask, margin).mean() for mask in masks]))
        if best is None or size < best[0]:
            best = size, LocatorSettings(threshold, margin * step_mm, found / max(organ_voxels, 1))
    return None if best is None else best[1]


def organ_counts(labels: Volume, grid: Grid, ignore: int | None = None) -> NDArray[np.int64]:
    """Counts the organ voxels of a label map in each voxel of a coarse grid.

    Args:
        labels: label map on the scan's own grid.
        grid: the locator's grid for this scan.
        ignore: label of voxels that belong to no organ; None where the label map has none.

    Returns:
        Counts [D, H, W].
    """
    counts = np.zeros(grid.shape.dhw, np.int64)
    to_coarse = np.linalg.inv(grid.affine) @ labels.grid.affine
    organ: NDArray[np.bool_] = labels.data > 0
    if ignore is not None:
        organ &= labels.data != ignore
    places = np.flatnonzero(organ)
    last = np.array(grid.shape) - 1
    for first in range(0, len(places), _CHUNK):
        index = np.array(np.unravel_index(places[first : first + _CHUNK], organ.shape))
        x, y, z = np.clip(np.rint(to_coarse[:3, :3] @ index + to_coarse[:3, 3:]).astype(int).T, 0, last).T
        np.add.at(counts, (z, y, x), 1)
    return counts


def grown(mask: NDArray[np.bool_], voxels: int) -> NDArray[np.bool_]:
    """Returns a mask grown by a number of voxels along each axis, corners included."""
    result = mask.copy()
    for axis in range(3):
        lines = np.moveaxis(result, axis, 0)
        original = lines.copy()
        for shift in range(1, min(voxels, len(lines) - 1) + 1):
            lines[shift:] |= original[:-shift]
            lines[:-shift] |= original[shift:]
    return result


def _voxels_to(mask: NDArray[np.bool_], organ: NDArray[Any]) -> int:
    """Returns by how many voxels a mask must grow to hold every organ voxel; more than `MOST_VOXELS` means too many."""
    voxels = 0
    while (organ & ~mask).any() and voxels <= MOST_VOXELS:
        voxels += 1
        mask = grown(mask, 1)
    return voxels
