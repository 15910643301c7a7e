"""Maps voxels between a sheared grid and one with right angles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..scans.geometry import Grid

CROSSING_BYTES = 6 * 2**20  # positions and values of the voxels that are mapped at the same time
_CHUNK_VOXELS = 32_768
_POSITION_DECIMALS = 6  # voxels; hides the rounding of affines, so that mirrored files give identical results


def crosses(one: Grid, other: Grid) -> bool:
    """Whether two grids of one scan have axes that are not parallel, because one of the two is sheared."""
    return one.is_sheared != other.is_sheared


def along_axes_of(array: NDArray[Any], grid: Grid, target: Grid) -> tuple[NDArray[Any], Grid]:
    """Returns a view of an array [Z, Y, X] in the axis order and direction closest to the target's, and its grid."""
    turn = ornt_transform(io_orientation(grid.affine), axcodes2ornt(target.axes))
    return apply_orientation(array.T, turn).T, grid.reoriented(target.axes)


@dataclass(frozen=True)
class Part:
    """A box of voxels within one plane of a grid.

    Attributes:
        plane: index along z.
        rows: range of indices along y.
        columns: range of indices along x.
    """

    plane: int
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


class Crossing:
    """Maps the voxels of one grid to positions in another grid whose axes have other directions.

    Args:
        grid: the grid whose voxels are mapped.
        among: the grid in whose voxels the positions are measured.
    """

    def __init__(self, grid: Grid, among: Grid) -> None:
        self._shape = grid.shape[::-1]
        step = np.linalg.inv(among.affine) @ grid.affine
        self._step, self._start = step[2::-1, 2::-1], step[2::-1, 3]  # both in the order z, y, x

    def parts(self) -> Iterator[Part]:
        """Yields the whole grid in parts of at most about 32,768 voxels, plane after plane."""
        yield from self._parts([(0, size) for size in self._shape])

    def parts_around(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> Iterator[Part]:
        """Yields parts that together contain every voxel whose position is in a box, and some other voxels.

        Args:
            low: [3] lower corner (z, y, x) of the box, in voxels of the other grid; minus infinity means no limit.
            high: [3] upper corner; infinity means no limit.
        """
        corners = np.array(np.meshgrid(*[(0, size - 1) for size in self._shape], indexing="ij")).reshape(3, -1)
        placed = self._step @ corners + self._start[:, None]
        ends = np.maximum(low, placed.min(axis=1)), np.minimum(high, placed.max(axis=1))
        box = np.array(np.meshgrid(*np.transpose(ends), indexing="ij")).reshape(3, -1)
        indices = np.linalg.solve(self._step, box - self._start[:, None])
        first, stop = np.floor(indices.min(axis=1)).astype(int), np.ceil(indices.max(axis=1)).astype(int) + 1
        yield from self._parts(
            [(max(0, a), min(size, b)) for a, b, size in zip(first.tolist(), stop.tolist(), self._shape, strict=True)]
        )

    def _parts(self, ranges: list[tuple[int, int]]) -> Iterator[Part]:
        planes, (top, bottom), (left, right) = ranges
        if right <= left:
            return
        height = max(1, _CHUNK_VOXELS // (right - left))
        for plane in range(*planes):
            for row in range(top, bottom, height):
                yield Part(plane, slice(row, min(row + height, bottom)), slice(left, right))

    def positions(self, part: Part, axis: int) -> NDArray[np.float64]:
        """Returns the positions [rows, columns] of a part's voxels along one axis of the other grid, in its voxels.

        Args:
            part: voxels of the grid.
            axis: 0, 1, 2 for z, y, x of the other grid.
        """
        of_z, of_y, of_x = self._step[axis]
        rows, columns = (np.arange(side.start, side.stop) for side in (part.rows, part.columns))
        along_rows = self._start[axis] + of_z * part.plane + of_y * rows
        return np.round(along_rows[:, None] + of_x * columns, _POSITION_DECIMALS)


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
        """Returns the neighbours on an axis of ``size`` voxels; beyond the outer centres, the outermost voxel alone."""
        inside = np.clip(positions, 0, size - 1)
        lower = np.floor(inside).astype(np.intp)
        return Neighbours(lower, np.ceil(inside).astype(np.intp), (inside - lower).astype(np.float32))


def nearest(positions: NDArray[np.float64], size: int) -> NDArray[np.intp]:
    """Returns the closest index on an axis of ``size`` voxels; a tie goes to the upper one."""
    return np.clip(np.floor(positions + 0.5), 0, size - 1).astype(np.intp)


def mixed(low: NDArray[np.float32], high: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns low + weight · (high − low) [..., n]; overwrites ``high`` with it."""
    high -= low
    high *= weight
    high += low
    return high
