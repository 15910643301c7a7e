"""Interpolates scores onto the scan's grid and takes the argmax, block by block, without a full array per class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..errors import InputError
from ..preprocessing.neighbours import CHUNK_VOXELS, interpolate_in_place
from ..preprocessing.resample import align, axes_along
from ..preprocessing.voxel_mapping import differ_in_shear
from ..windows.blend import ScoreBlock
from .best_class import best_class, label_dtype
from .restore_sheared import ShearedLabels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..preprocessing.neighbours import Neighbours
    from ..scans.geometry import Grid

Labels: TypeAlias = "NDArray[np.uint8] | NDArray[np.uint16]"


class LabelRestorer:
    """Converts finished blocks of scores on the model's grid into labels on the scan's grid.

    It keeps the last plane of scores, and the last row of every unfinished layer of blocks, because the next blocks
    interpolate with them. A scan voxel whose eight surrounding model voxels have the same best class has that class too
    (linear interpolation is a weighted mean of the eight, and the class leads in each), so only voxels at borders
    between classes are interpolated; the result is the same. Blocks that no window covered are background, and cost
    next to nothing where the blocks before them are, too.

    Args:
        num_classes: number of classes C, background included.
        grid: the model's grid.
        source: the scan's grid; parallel to the model's, or sheared.

    Raises:
        InputError: both grids have right angles and are not parallel.
    """

    def __init__(self, num_classes: int, grid: Grid, source: Grid) -> None:
        _, depth, height, width = self._shape = (num_classes, *grid.shape.dhw)
        self._labels: Labels = np.zeros(source.shape, label_dtype(num_classes), order="F")
        self._last_plane = np.empty((num_classes, height, width), np.float32)
        self._last_rows: dict[int, NDArray[np.float32]] = {}  # first plane of a block → its last row, frame included
        self._covered = np.zeros(height, np.bool_)  # rows of the last plane in which a window may have covered voxels
        self._uncovered_rows: set[int] = set()  # first planes of the blocks whose last row, with its frame, no one did
        self._given = 0
        self._sheared = ShearedLabels(self._labels, grid, source) if differ_in_shear(grid, source) else None
        if self._sheared is not None:
            return
        maps = align(grid, source)
        z, y, x = axes_along(maps)
        self._target = self._labels.transpose(z, y, x)
        self._planes = maps[z].unflipped(depth).neighbours(depth)
        self._rows = maps[y].unflipped(height).neighbours(height)
        self._columns = maps[x].unflipped(width).neighbours(width)

    def add(self, block: ScoreBlock) -> None:
        """Labels the scan voxels of a block; the blocks with smaller z and with smaller y must have been added before.

        Overwrites the block's frame.

        Raises:
            InputError: the block does not fit into this grid.
        """
        classes, depth, height, width = self._shape
        planes, rows = block.scores.shape[1:3]
        stop_z, stop_y = block.z + planes, block.y + rows
        if (len(block.framed), block.framed.shape[3]) != (classes, width) or stop_z > depth or stop_y > height:
            raise InputError(f"scores: expected blocks within {self._shape}, got {block.framed.shape} at z {block.z}")
        if block.z:
            block.framed[:, 0, 1:] = self._last_plane[:, block.y : stop_y]
        if block.y:
            block.framed[:, :, 0] = self._last_rows[block.z]
        background = self._is_background(block, stop_y)
        if not background:
            self._label(block)
        self._last_plane[:, block.y : stop_y] = block.framed[:, -1, 1:]
        self._covered[block.y : stop_y] = not block.uncovered
        self._uncovered_rows.discard(block.z)
        if stop_y < height:
            self._last_rows[block.z] = block.framed[:, :, -1].copy()
            if background:
                self._uncovered_rows.add(block.z)
        else:
            self._last_rows.pop(block.z, None)
        self._given += planes * rows

    def labels(self) -> Labels:
        """Returns the labels [X, Y, Z] on the scan's grid.

        Raises:
            InputError: blocks are missing.
        """
        _, depth, height, _ = self._shape
        if self._given != depth * height:
            raise InputError(f"scores: expected {depth * height} rows of voxels, got {self._given}")
        return self._labels

    def _is_background(self, block: ScoreBlock, stop_y: int) -> bool:
        """Whether no window covered a block and the planes and rows in its frame: its voxels have label 0 already."""
        beside = block.y == 0 or block.z in self._uncovered_rows
        return block.uncovered and beside and not self._covered[block.y : stop_y].any() and self._sheared is None

    def _label(self, block: ScoreBlock) -> None:
        """Labels the scan's voxels whose upper neighbours are in the block; the lower ones may be in its frame."""
        if self._sheared is not None:
            self._sheared.label(block)
            return
        planes, rows = block.scores.shape[1:3]
        wanted = self._rows.upper_within(block.y, block.y + rows)
        if wanted.start == wanted.stop:
            return
        # Without a neighbouring block the frame is undefined, so it is left out.
        top, first = (0, block.y - 1) if block.y else (1, 0)
        rows_inside = self._rows.part(wanted, first)
        kept: dict[int, _ScorePlane] = {}
        inside = self._planes.upper_within(block.z, block.z + planes)
        order = range(inside.start, inside.stop)
        for k in order if self._planes.increasing else reversed(order):
            low, high = int(self._planes.lower[k]), int(self._planes.upper[k])
            kept = {plane: scores for plane, scores in kept.items() if plane in (low, high)}
            for plane in (low, high):
                if plane not in kept:
                    kept[plane] = _ScorePlane(block.framed[:, plane - block.z + 1, top:])
            labels = _plane_labels(kept[low], kept[high], self._planes.weight[k], rows_inside, self._columns)
            self._target[k, wanted] = labels


def scores_to_labels(scores: NDArray[Any], grid: Grid, source: Grid) -> Labels:
    """Interpolates scores linearly onto the scan's grid and takes the best class of each voxel.

    Works plane by plane; its memory is ``scores``, the label map and a few planes.

    Args:
        scores: [C, D, H, W] logits or probabilities on ``grid``.
        grid: the model's grid.
        source: the scan's grid.

    Returns:
        Labels [X, Y, Z] on ``source``: uint8 up to 256 classes, else uint16. Of equal scores the lower class wins.

    Raises:
        InputError: the scores do not fit the grid, or the grids are not parallel.
    """
    if scores.ndim != 4 or scores.shape[1:] != grid.shape.dhw:
        raise InputError(f"scores: expected [C, D, H, W] with D, H, W = {grid.shape.dhw}, got {scores.shape}")
    classes, depth, height, width = scores.shape
    restorer = LabelRestorer(classes, grid, source)
    for z in range(depth):
        framed = np.empty((classes, 2, 1 + height, width), np.float32)
        framed[:, 1, 1:] = scores[:, z]
        restorer.add(ScoreBlock(z, 0, framed))
    return restorer.labels()


def _plane_labels(
    low: _ScorePlane, high: _ScorePlane, weight: np.float32, rows: Neighbours, columns: Neighbours
) -> NDArray[Any]:
    """Returns the labels [H', W'] of a scan plane between two planes of scores."""
    cells = np.ix_(rows.lower, columns.lower)
    labels = low.best[cells]
    settled = low.uniform if low is high else low.uniform & high.uniform & (low.best == high.best)
    j, i = np.nonzero(~settled[cells])
    width = len(low.best[0])
    for start in range(0, len(j), CHUNK_VOXELS):
        row, column = j[start : start + CHUNK_VOXELS], i[start : start + CHUNK_VOXELS]
        above, below = rows.lower[row] * width, rows.upper[row] * width
        left, right, across = columns.lower[column], columns.upper[column], columns.weight[column]
        upper = _interpolated(low, high, weight, above + left, above + right, across)
        lower = _interpolated(low, high, weight, below + left, below + right, across)
        labels[row, column] = best_class(interpolate_in_place(upper, lower, rows.weight[row]))
    return labels


class _ScorePlane:
    """One plane of scores, the best class of each voxel, and where a cell of 2×2 voxels has a single best class."""

    def __init__(self, scores: NDArray[Any]) -> None:
        self.flat = np.ascontiguousarray(scores).reshape(len(scores), -1)
        self.best = best_class(self.flat).reshape(scores.shape[1:])
        best = self.best
        self.uniform = np.ones(best.shape, np.bool_)  # the cell that starts at each voxel
        self.uniform[:-1] &= best[:-1] == best[1:]
        self.uniform[:, :-1] &= best[:, :-1] == best[:, 1:]
        self.uniform[:-1, :-1] &= best[:-1, :-1] == best[1:, 1:]


def _interpolated(
    low: _ScorePlane,
    high: _ScorePlane,
    weight: np.float32,
    left: NDArray[np.intp],
    right: NDArray[np.intp],
    across: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Returns scores [C, n] interpolated between two voxels of a row and between two planes."""
    ends: list[NDArray[np.float32]] = []
    for index in (left, right):
        value = np.take(low.flat, index, axis=1).astype(np.float32, copy=False)
        if low is not high:
            value += weight * (np.take(high.flat, index, axis=1) - value)
        ends.append(value)
    start, end = ends
    return interpolate_in_place(start, end, across)
