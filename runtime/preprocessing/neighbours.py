"""The voxels around positions on an axis: two neighbours for linear interpolation, or the nearest one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

POSITION_DECIMALS = 6  # voxels; hides the rounding of affines, so that mirrored files give identical results

CHUNK_VOXELS = 16_384  # voxels interpolated at a time: bounds memory when there are many classes


@dataclass(frozen=True)
class Neighbours:
    """The two voxels around each position along one axis, and the interpolation weight of the upper one; [n] each.

    Attributes:
        lower: index of the lower voxel.
        upper: index of the upper voxel; equal to ``lower`` where the upper one's weight is 0.
        weight: weight of the upper voxel, from 0 to 1.
    """

    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    weight: NDArray[np.float32]

    @staticmethod
    def at(positions: NDArray[np.float64], size: int) -> Neighbours:
        """Returns the neighbours on an axis of ``size`` voxels; beyond the outer centres, the outermost voxel alone.

        >>> Neighbours.at(np.array([-1.0, 0.25, 2.0]), size=3)
        Neighbours(lower=array([0, 0, 2]), upper=array([0, 1, 2]), weight=array([0.  , 0.25, 0.  ], dtype=float32))
        """
        inside = np.clip(positions, 0, size - 1)
        lower = np.floor(inside).astype(np.intp)
        return Neighbours(lower, np.ceil(inside).astype(np.intp), (inside - lower).astype(np.float32))

    @property
    def increasing(self) -> bool:
        """Whether the positions increase."""
        return bool(self.upper[-1] >= self.upper[0])

    def upper_within(self, start: int, stop: int) -> slice:
        """Returns the slice of positions whose upper neighbour has an index from ``start`` to below ``stop``."""
        found = np.flatnonzero((self.upper >= start) & (self.upper < stop))
        return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)

    def part(self, positions: slice, first: int) -> Neighbours:
        """Returns the neighbours of some positions, with indices relative to the voxel ``first``."""
        return Neighbours(self.lower[positions] - first, self.upper[positions] - first, self.weight[positions])


def nearest_index(positions: NDArray[np.float64], size: int) -> NDArray[np.intp]:
    """Returns the closest index on an axis of ``size`` voxels, [n]; a tie goes to the upper one.

    >>> nearest_index(np.array([-1.0, 0.4, 0.5, 9.0]), size=3)
    array([0, 0, 1, 2])
    """
    return np.clip(np.floor(positions + 0.5), 0, size - 1).astype(np.intp)


def interpolate_in_place(
    low: NDArray[np.float32], high: NDArray[np.float32], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns low + weight · (high − low) [..., n]; overwrites ``high`` with it."""
    high -= low
    high *= weight
    high += low
    return high
