"""Chooses a locator's threshold and margin so that its region holds every organ voxel of some labelled scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...runtime.axes import DHW
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
class OrganVoxels:
    """How many voxels of each organ lie in the voxels of a coarse grid: one entry for each organ and coarse voxel.

    Attributes:
        shape: (D, H, W) of the grid.
        organs: [N] label of the organ.
        places: [N] index of the coarse voxel in the flattened grid.
        counts: [N] number of the organ's voxels in it, above 0.
    """

    shape: DHW
    organs: NDArray[np.int64]
    places: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[D, H, W], true where there is a voxel of any organ."""
        mask = np.zeros(self.shape, np.bool_)
        mask.reshape(-1)[self.places] = True
        return mask

    def within(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Returns the counts [N] in a mask [D, H, W]; 0 outside."""
        return np.where(mask.reshape(-1)[self.places], self.counts, 0)


@dataclass(frozen=True, eq=False)
class LocatedCase:
    """A labelled scan, as the locator sees it.

    Attributes:
        odds: the locator's result.
        organs: the organ voxels of the scan's label map in the voxels of the locator's grid.
    """

    odds: OrganOdds
    organs: OrganVoxels


def choose_settings(cases: Sequence[LocatedCase], step_mm: float) -> LocatorSettings | None:
    """Chooses threshold and margin.

    For each threshold the region is grown by whole coarse voxels until it holds every voxel with an organ, and by two
    more for safety. The threshold that leaves the smallest regions is chosen.

    Args:
        cases: labelled scans, at least one of them with an organ.
        step_mm: largest spacing of the locator's grid.

    Returns:
        None where organs lie more than ten voxels outside the region with every threshold.

    Raises:
        ValueError: no case has an organ, so that any region would hold all of them.
    """
    best: tuple[float, LocatorSettings] | None = None
    total = sum(int(case.organs.counts.sum()) for case in cases)
    if not total:
        raise ValueError("expected a labelled scan with an organ, got none")
    for threshold in THRESHOLDS:
        masks = [case.odds.mask(threshold) for case in cases]
        missed = [_voxels_to(mask, case.organs.mask) for mask, case in zip(masks, cases, strict=True)]
        margin = max(missed) + SAFETY_VOXELS
        if margin > MOST_VOXELS + SAFETY_VOXELS:
            continue
        found = sum(int(case.organs.within(mask).sum()) for mask, case in zip(masks, cases, strict=True))
        size = float(np.mean([grown(mask, margin).mean() for mask in masks]))
        if best is None or size < best[0]:
            best = size, LocatorSettings(threshold, margin * step_mm, found / total)
    return None if best is None else best[1]


def organ_recalls(cases: Sequence[LocatedCase], threshold: float, labels: Sequence[str]) -> dict[str, float]:
    """Returns label → fraction of the organ's voxels in the region before it is grown, of the organs in the cases.

    Args:
        cases: labelled scans.
        threshold: probability of an organ from which on a voxel belongs to the region.
        labels: index → name, background first.
    """
    found, there = np.zeros(len(labels)), np.zeros(len(labels))
    for case in cases:
        organs, size = case.organs, len(labels)
        found += np.bincount(organs.organs, organs.within(case.odds.mask(threshold)), size)[:size]
        there += np.bincount(organs.organs, organs.counts, size)[:size]
    return {name: float(found[organ] / there[organ]) for organ, name in enumerate(labels) if there[organ]}


def organ_voxels(labels: Volume, grid: Grid, ignore: int | None = None) -> OrganVoxels:
    """Counts the organ voxels of a label map in each voxel of a coarse grid.

    Args:
        labels: label map on the scan's own grid.
        grid: the locator's grid for this scan.
        ignore: label of voxels that belong to no organ; None where the label map has none.
    """
    size = int(np.prod(grid.shape))
    keys: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    counts: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    to_coarse = np.linalg.inv(grid.affine) @ labels.grid.affine
    organ: NDArray[np.bool_] = labels.data > 0
    if ignore is not None:
        organ &= labels.data != ignore
    places = np.flatnonzero(organ)
    last = np.array(grid.shape) - 1
    for first in range(0, len(places), _CHUNK):
        index = np.array(np.unravel_index(places[first : first + _CHUNK], organ.shape))
        x, y, z = np.clip(np.rint(to_coarse[:3, :3] @ index + to_coarse[:3, 3:]).astype(int).T, 0, last).T
        flat = np.ravel_multi_index((z, y, x), grid.shape.dhw)
        key, count = np.unique(labels.data[tuple(index)].astype(np.int64) * size + flat, return_counts=True)
        keys.append(key)
        counts.append(count)
    unique, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.bincount(inverse, np.concatenate(counts), len(unique)).astype(np.int64)
    return OrganVoxels(grid.shape.dhw, unique // size, unique % size, total)


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
