"""Maps voxels between a sheared grid and one with right angles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

from .neighbours import POSITION_DECIMALS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..scans.geometry import Grid

MAPPING_BYTES = 6 * 2**20  # positions and values of the voxels that are mapped at the same time
_TILE_VOXELS = 32_768


def differ_in_shear(one: Grid, other: Grid) -> bool:
    """Whether two grids of one scan have axes that are not parallel, because one of the two is sheared."""
    return one.is_sheared != other.is_sheared


def along_axes_of(array: NDArray[Any], grid: Grid, target: Grid) -> tuple[NDArray[Any], Grid]:
    """Returns a view of an array [Z, Y, X] in the axis order and direction closest to the target's, and its grid."""
    change = ornt_transform(io_orientation(grid.affine), axcodes2ornt(target.axes))
    return apply_orientation(array.T, change).T, grid.reoriented(target.axes)


@dataclass(frozen=True)
class Tile:
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


class VoxelMapping:
    """Maps the voxels of one grid to positions in another grid whose axes have other directions.

    Args:
        grid: the grid whose voxels are mapped.
        among: the grid in whose voxels the positions are measured.
    """

    def __init__(self, grid: Grid, among: Grid) -> None:
        self._shape = grid.shape.dhw
        step = np.linalg.inv(among.affine) @ grid.affine
        self._step, self._start = step[2::-1, 2::-1], step[2::-1, 3]  # both in the order z, y, x

    def tiles(self) -> Iterator[Tile]:
        """Yields the whole grid in tiles of at most about 32,768 voxels, plane after plane."""
        yield from self._tiles([(0, size) for size in self._shape])

    def tiles_around(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> Iterator[Tile]:
        """Yields tiles that together contain every voxel whose position is in a box, and some other voxels.

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
        yield from self._tiles(
            [(max(0, a), min(size, b)) for a, b, size in zip(first.tolist(), stop.tolist(), self._shape, strict=True)]
        )

    def _tiles(self, ranges: list[tuple[int, int]]) -> Iterator[Tile]:
        planes, (top, bottom), (left, right) = ranges
        if right <= left:
            return
        height = max(1, _TILE_VOXELS // (right - left))
        for plane in range(*planes):
            for row in range(top, bottom, height):
                yield Tile(plane, slice(row, min(row + height, bottom)), slice(left, right))

    def positions(self, tile: Tile, axis: int) -> NDArray[np.float64]:
        """Returns the positions [rows, columns] of a tile's voxels along one axis of the other grid, in its voxels.

        Args:
            tile: voxels of the grid.
            axis: 0, 1, 2 for z, y, x of the other grid.
        """
        of_z, of_y, of_x = self._step[axis]
        rows, columns = (np.arange(side.start, side.stop) for side in (tile.rows, tile.columns))
        along_rows = self._start[axis] + of_z * tile.plane + of_y * rows
        return np.round(along_rows[:, None] + of_x * columns, POSITION_DECIMALS)
