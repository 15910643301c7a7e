"""Labels a sheared scan from blocks of scores on a grid with right angles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..preprocessing.neighbours import CHUNK_VOXELS, Neighbours, interpolate_in_place
from ..preprocessing.voxel_mapping import Tile, VoxelMapping, along_axes_of
from .best_class import best_class

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..scans.geometry import Grid
    from ..windows.blend import ScoreBlock

SEARCH_BYTES = 16  # per voxel of a block: its best class, and whether its cell has a single class


class ShearedLabels:
    """Labels each scan voxel with the best class of scores interpolated between the eight model voxels around it.

    A voxel belongs to the block that holds its upper neighbours along z and y; the lower ones may be in the block's
    frame. So every voxel is labelled exactly once, however the grid is divided into blocks.

    Args:
        labels: [X, Y, Z] label map on the scan's grid; modified in place.
        grid: the model's grid.
        source: the scan's grid, sheared.
    """

    def __init__(self, labels: NDArray[Any], grid: Grid, source: Grid) -> None:
        view, own = along_axes_of(labels.T, source, grid)
        self._target = view
        self._shape = grid.shape.dhw
        self._mapping = VoxelMapping(own, grid)

    def label(self, block: ScoreBlock) -> None:
        """Labels the voxels that belong to a block; the block's frame must hold its neighbours' scores."""
        starts = block.z, block.y
        stops = [start + size for start, size in zip(starts, block.scores.shape[1:3], strict=True)]
        low = np.array([start - 1 if start else -np.inf for start in starts] + [-np.inf])
        high = np.array(
            [stop - 1 if stop < size else np.inf for stop, size in zip(stops, self._shape, strict=False)] + [np.inf]
        )
        scores = _BlockScores(block)
        for tile in self._mapping.tiles_around(low, high):
            self._label(tile, scores, starts, stops)

    def _label(self, tile: Tile, scores: _BlockScores, starts: tuple[int, int], stops: list[int]) -> None:
        inside = np.ones(tile.shape, np.bool_)
        places = []
        for axis in (0, 1):
            place = self._mapping.positions(tile, axis)
            upper = np.ceil(np.clip(place, 0, self._shape[axis] - 1))
            inside &= (upper >= starts[axis]) & (upper < stops[axis])
            places.append(place)
        if not inside.any():
            return
        places.append(self._mapping.positions(tile, 2))
        around = [Neighbours.at(place[inside], size) for place, size in zip(places, self._shape, strict=True)]
        self._target[tile.plane, tile.rows, tile.columns][inside] = scores.labels(*around)


class _BlockScores:
    """A block's scores, the best class of each voxel, and where a cell of 2×2×2 voxels has a single best class."""

    def __init__(self, block: ScoreBlock) -> None:
        self._first = block.z - 1, block.y - 1  # the model voxels at index 0 of the frame
        self._strides = block.framed[0].size // block.framed.shape[1], block.framed.shape[3]
        self._flat = block.framed.reshape(len(block.framed), -1)
        best = np.zeros(block.framed.shape[1:], np.uint16)
        # Without a neighbouring block the frame is undefined, so it is left out.
        inside = (slice(0 if block.z else 1, None), slice(0 if block.y else 1, None))
        best[inside] = best_class(block.framed[(slice(None), *inside)])
        uniform = np.ones(best.shape, np.bool_)
        for axis in range(3):  # step by step: equal pairs, then squares of pairs, then cubes
            cells, values = np.moveaxis(uniform, axis, 0), np.moveaxis(best, axis, 0)
            cells[:-1] &= cells[1:] & (values[:-1] == values[1:])
        self._best, self._uniform = best.ravel(), uniform.ravel()

    def labels(self, z: Neighbours, y: Neighbours, x: Neighbours) -> NDArray[Any]:
        """Returns the labels [n] at n positions between the block's voxels."""
        planes, rows = (
            [(index - first) * stride for index in (axis.lower, axis.upper)]
            for axis, first, stride in zip((z, y), self._first, self._strides, strict=True)
        )
        cells = planes[0] + rows[0] + x.lower
        labels = self._best[cells]
        unsettled = np.flatnonzero(~self._uniform[cells])
        for start in range(0, len(unsettled), CHUNK_VOXELS):
            some = unsettled[start : start + CHUNK_VOXELS]
            corners = [plane[some] + row[some] for plane in planes for row in rows]
            low, high = (
                self._between(corners, index[some], y.weight[some], z.weight[some]) for index in (x.lower, x.upper)
            )
            labels[some] = best_class(interpolate_in_place(low, high, x.weight[some]))
        return labels

    def _between(
        self,
        corners: list[NDArray[np.intp]],
        columns: NDArray[np.intp],
        along_y: NDArray[np.float32],
        along_z: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Returns scores [C, n] interpolated along y and z at given columns.

        Args:
            corners: flat index at which the row of each of the four neighbours starts, [n] each.
            columns: [n] index along x.
            along_y: [n] weight of the upper neighbours along y.
            along_z: [n] weight of the upper neighbours along z.
        """
        four = [np.take(self._flat, start + columns, axis=1) for start in corners]
        low, high = (interpolate_in_place(*pair, along_y) for pair in ((four[0], four[1]), (four[2], four[3])))
        return interpolate_in_place(low, high, along_z)
