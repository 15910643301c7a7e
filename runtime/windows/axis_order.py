"""The order in which windows run along the axes of a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..axes import DHW
from ..scans.geometry import Grid
from .plan import PlanTriple


@dataclass(frozen=True)
class AxisOrder:
    """The model's axes from the outermost to the innermost.

    Windows run layer by layer along the outermost axis, and the scores of a whole layer stay in memory: the longer that
    axis, the smaller the layers.

    >>> shape = DHW(80, 200, 160)
    >>> AxisOrder.longest_outside(shape).sizes(shape)
    (200, 160, 80)

    Attributes:
        axes: axes of the model, outermost first; 0 for z, 1 for y, 2 for x.
    """

    axes: PlanTriple = (0, 1, 2)

    @staticmethod
    def longest_outside(shape: DHW) -> AxisOrder:
        """Returns the order in which the longest axis of a volume is outermost and the shortest innermost."""
        outer, middle, inner = sorted(range(3), key=lambda axis: -shape[axis])
        return AxisOrder((outer, middle, inner))

    def sizes(self, sizes: DHW) -> PlanTriple:
        """Returns the model's sizes in this order."""
        outer, middle, inner = (sizes[axis] for axis in self.axes)
        return outer, middle, inner

    def sizes_back(self, sizes: PlanTriple) -> DHW:
        """Returns sizes in this order as the model's."""
        return DHW(*(sizes[self.axes.index(axis)] for axis in range(3)))

    def turned(self, array: NDArray[Any]) -> NDArray[Any]:
        """Returns a view of an array [..., D, H, W] with its last three axes in this order."""
        leading = array.ndim - 3
        return array.transpose([*range(leading), *(leading + axis for axis in self.axes)])

    def turned_back(self, array: NDArray[Any]) -> NDArray[Any]:
        """Returns a view [..., D, H, W] of an array whose last three axes are in this order."""
        leading = array.ndim - 3
        return array.transpose([*range(leading), *(leading + int(axis) for axis in np.argsort(self.axes))])

    def grid(self, grid: Grid) -> Grid:
        """Returns the model's grid with its axes in this order; x of the result is the innermost axis."""
        columns = [2 - axis for axis in reversed(self.axes)]
        affine = grid.affine.copy()
        affine[:3, :3] = grid.affine[:3, columns]
        return Grid([grid.shape[column] for column in columns], affine)


MODEL_ORDER = AxisOrder()  # z outermost, x innermost, like C-contiguous arrays
