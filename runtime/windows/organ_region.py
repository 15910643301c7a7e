"""The region in which a locator found organs, and which windows of another grid hold part of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .blend import ScoreBlock

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..scans.geometry import Grid
    from .axis_order import AxisOrder
    from .plan import PlanTriple, WindowPlan


@dataclass(frozen=True, eq=False)
class OrganRegion:
    """The voxels of a coarse grid in which a locator found organs, and the distance by which they are grown.

    Attributes:
        mask: [D, H, W], true where it found an organ.
        grid: the coarse grid, over the scan's field of view.
        margin_mm: distance by which the region is grown along each axis.
        warnings: warnings about the scan and the search for organs, one line each.
    """

    mask: NDArray[np.bool_]
    grid: Grid
    margin_mm: float
    warnings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no organ was found."""
        return not self.mask.any()

    def windows(self, plan: WindowPlan, order: AxisOrder, grid: Grid) -> OrganWindows:
        """Returns which windows of a plan hold part of the grown region.

        Args:
            plan: a window plan over ``grid``.
            order: the order of its axes.
            grid: a task's grid for the same scan, with axes parallel to those of the region's grid.
        """
        return OrganWindows(self, plan, order, grid)


class OrganWindows:
    """Knows of each window of a plan whether it holds part of an organ region; see `OrganRegion.windows`.

    Every window that covers a voxel of the grown region holds part of it. So the scores of these voxels are the same as
    if all windows had run.
    """

    def __init__(self, region: OrganRegion, plan: WindowPlan, order: AxisOrder, grid: Grid) -> None:
        self._mask = order.turned(region.mask)
        fine, coarse = order.grid(grid), order.grid(region.grid)
        # `order.grid` puts the innermost axis first, as x.
        self._ranges = [
            {
                start: _overlapped(start - plan.pad_before[axis], plan.patch[axis], fine, coarse, 2 - axis, region)
                for start in plan.axes[axis]
            }
            for axis in range(3)
        ]

    def has_organ(self, start: PlanTriple) -> bool:
        """Whether the window that starts at ``start`` holds part of the region."""
        z, y, x = (ranges[first] for ranges, first in zip(self._ranges, start, strict=True))
        return bool(self._mask[z, y, x].any())


def _overlapped(first: int, size: int, fine: Grid, coarse: Grid, axis: int, region: OrganRegion) -> slice:
    """Returns the coarse voxels along an axis that a range of fine voxels overlaps once it is grown by the margin."""
    direction = fine.affine[:3, axis] / fine.spacing[axis]
    offset = float((fine.affine[:3, 3] - coarse.affine[:3, 3]) @ direction)  # from the first coarse centre, in mm
    low = offset + (first - 0.5) * fine.spacing[axis] - region.margin_mm
    high = offset + (first + size - 0.5) * fine.spacing[axis] + region.margin_mm
    # Coarse voxel k reaches from k − ½ to k + ½; the outer ones stand for all beyond, as the grids' ends may differ.
    count, step = coarse.shape[axis], coarse.spacing[axis]
    start = min(max(math.floor(low / step + 0.5), 0), count - 1)
    stop = min(max(math.ceil(high / step + 0.5), start + 1), count)
    return slice(start, max(stop, start + 1))


class OrganOdds:
    """Collects from blocks of a locator's scores how likely each voxel is to be an organ's.

    Args:
        grid: the locator's grid.
        order: the order of axes in which the blocks come.

    Attributes:
        grid: the locator's grid.
        log_odds: [D, H, W] float32, the organ's logit minus the background's.
    """

    def __init__(self, grid: Grid, order: AxisOrder) -> None:
        self.grid = grid
        self.log_odds = np.zeros(grid.shape.dhw, np.float32)
        self._turned = order.turned(self.log_odds)

    def add(self, block: ScoreBlock) -> None:
        """Adds a block of blended logits [2, planes, rows, W], of background and organ."""
        background, organ = block.scores
        planes, rows = background.shape[:2]
        np.subtract(organ, background, out=self._turned[block.z : block.z + planes, block.y : block.y + rows])

    def mask(self, threshold: float) -> NDArray[np.bool_]:
        """Returns the voxels [D, H, W] with at least a probability of an organ, above 0 and below 1."""
        return self.log_odds >= math.log(threshold / (1 - threshold))
