"""Blends overlapping windows into one volume of scores, yielded block by block as blocks are finished.

Windows run layer by layer along z, in a layer row by row along y, in a row along x. After a row of windows, the voxels
from its start to the start of the next row and of the next layer are final: a block. Scores that are not final yet are
kept in cells, the boxes between neighbouring starts and ends of windows; a cell is created when a window first touches
it and freed with its block. So only about half a window's depth of planes is in memory at any time, however long the
scan.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..memory.mmap_arrays import mmap_array
from .axis_order import MODEL_ORDER, AxisOrder
from .plan import PlanTriple, WindowPlan, gaussian_weight

BACKGROUND_LOGIT = 10.0  # typical logit of a network in air; given to voxels that no window covered

BLOCK_PLANES = 8  # most planes of a block; kept small because a block is float32

CellIndex = PlanTriple  # index of a cell along each axis
Box = tuple[slice, slice, slice]
Columns = tuple[slice, slice]  # indices of cells along z and y


@dataclass(frozen=True)
class WindowScores:
    """The network's logits for one window.

    Attributes:
        start: first voxel of the window, as in `WindowPlan.starts`.
        logits: [C, D, H, W] float32, overwritten by blending; None for a window that was left out.
    """

    start: PlanTriple
    logits: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class ScoreBlock:
    """A finished part of the volume, over its whole width.

    Attributes:
        z: index of the first plane, in the volume without padding.
        y: index of the first row, in the volume without padding.
        framed: [C, 1 + planes, 1 + rows, W] float32. The first plane and the first row leave room for the last ones of
            the neighbouring blocks, for interpolation between blocks; their content is undefined.
        uncovered: whether no window covered it, so that all its voxels are background.
    """

    z: int
    y: int
    framed: NDArray[np.float32]
    uncovered: bool = False

    @property
    def scores(self) -> NDArray[np.float32]:
        """Blended logits [C, planes, rows, W]; with a float16 accumulator, relative to each voxel's best class."""
        return self.framed[:, 1:, 1:]


def blend(
    plan: WindowPlan,
    windows: Iterable[WindowScores],
    num_classes: int,
    dtype: type[np.floating] = np.float32,
    order: AxisOrder = MODEL_ORDER,
) -> Iterator[ScoreBlock]:
    """Blends logits with Gaussian weights and yields each block as soon as no later window touches it.

    Averages logits, not probabilities, like MONAI with a network that returns logits. Voxels that no window covered
    (skipped air) become background.

    Args:
        plan: the window plan.
        windows: results in the order of ``plan.starts``; pulled one by one, so a generator may compute them lazily.
        num_classes: C, background included.
        dtype: number format of scores that wait for a later row of windows. With float16, the best class's logit is
            first subtracted at each voxel of a window, which by itself changes no label and no probability: competing
            classes then have values near 0, where float16 is finest. The remaining errors are some thousandths of a
            probability at most.
        order: order of the plan's axes; the logits are views in this order.

    Yields:
        Blocks that cover the volume without gap or overlap, in the order of the rows of windows.
    """
    cells = _Cells(plan, num_classes, dtype, order)
    results = iter(windows)
    for layers in plan.layers:
        for layer, row in plan.rows_of(layers):
            for _ in plan.axes[2]:
                cells.add(next(results))  # keep no reference, so that the next window can reuse the memory
            yield from cells.finish(layer, row)


@dataclass
class _Cell:
    """Summed weighted logits [C, d, h, w] of one cell, and the starts of the windows that were added."""

    scores: NDArray[np.floating]
    starts: list[PlanTriple]


class _Lattice:
    """The cells of a plan: the boxes between neighbouring starts and ends of windows along each axis."""

    def __init__(self, plan: WindowPlan) -> None:
        self._plan = plan
        self._bounds = tuple(
            sorted({*starts, *(start + size for start in starts)})
            for starts, size in zip(plan.axes, plan.patch, strict=True)
        )
        self._indices = tuple({bound: index for index, bound in enumerate(bounds)} for bounds in self._bounds)

    def touched(self, start: PlanTriple) -> list[CellIndex]:
        """Returns the indices of the cells that a window covers."""
        return list(product(*self._spans(start)))

    def touched_columns(self, start: PlanTriple) -> Columns:
        """Returns the (z, y) indices of the cells that a row of windows covers; ``start`` is any window's."""
        z, y, _ = self._spans(start)
        return _slice(z), _slice(y)

    def _spans(self, start: PlanTriple) -> tuple[range, range, range]:
        stops = (first + size for first, size in zip(start, self._plan.patch, strict=True))
        z, y, x = (
            range(indices[first], indices[stop])
            for indices, first, stop in zip(self._indices, start, stops, strict=True)
        )
        return z, y, x

    def finished(self, layer: int, row: int) -> list[list[CellIndex]]:
        """Returns the cells that no window after this row touches, as lists of neighbours along x."""
        z, y = self._finished_spans(layer, row)
        return [[(i, j, k) for k in range(len(self._indices[2]) - 1)] for i in z for j in y]

    def finished_columns(self, layer: int, row: int) -> Columns:
        """Returns the (z, y) indices of the cells that no window after this row touches."""
        z, y = self._finished_spans(layer, row)
        return _slice(z), _slice(y)

    def _finished_spans(self, layer: int, row: int) -> tuple[range, range]:
        z, y = (
            range(indices[starts[place]], indices[starts[place + 1]] if place + 1 < len(starts) else len(indices) - 1)
            for place, starts, indices in zip((layer, row), self._plan.axes, self._indices, strict=False)
        )
        return z, y

    @property
    def column_sizes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The sizes of the cells along z and along y, in voxels."""
        z, y, _ = self._bounds
        return np.diff(z), np.diff(y)

    def box(self, cell: CellIndex, origin: PlanTriple = (0, 0, 0)) -> Box:
        """Returns the slices of a cell, relative to ``origin`` in the padded volume."""
        z, y, x = (
            slice(bounds[index] - first, bounds[index + 1] - first)
            for index, bounds, first in zip(cell, self._bounds, origin, strict=True)
        )
        return z, y, x

    def shape(self, cell: CellIndex) -> PlanTriple:
        """Returns a cell's size (d, h, w) in voxels."""
        z, y, x = self.box(cell)
        return z.stop - z.start, y.stop - y.start, x.stop - x.start


class _Cells:
    """The cells with scores, of all rows that are not finished."""

    def __init__(self, plan: WindowPlan, num_classes: int, dtype: type[np.floating], order: AxisOrder) -> None:
        self._plan, self._num_classes, self._dtype, self._order = plan, num_classes, dtype, order
        self._lattice = _Lattice(plan)
        # x is contiguous in memory, in weights and cells as in the logits, also where it is not the innermost axis.
        self._weight = order.turned(gaussian_weight(order.sizes_back(plan.patch)))
        self._cells: dict[CellIndex, _Cell] = {}
        self._open: set[CellIndex] = set()  # cells in float32

    def add(self, window: WindowScores) -> None:
        start, logits = window.start, window.logits
        if logits is None:
            return
        touched = self._lattice.touched(start)
        if self._dtype != np.float32:
            self._pack(self._open.difference(touched))
            logits -= logits.max(axis=0)
        np.multiply(logits, self._weight, out=logits)
        for index in touched:
            part = logits[(slice(None), *self._lattice.box(index, start))]
            cell = self._cells.get(index)
            if cell is None:
                self._cells[index] = _Cell(self._copied(index, part, np.float32), [start])
                continue
            if cell.scores.dtype != np.float32:
                cell.scores = self._copied(index, cell.scores, np.float32)
            cell.scores += part
            cell.starts.append(start)
        self._open.update(touched)

    def finish(self, layer: int, row: int) -> Iterator[ScoreBlock]:
        """Yields the blocks that a row of windows finished, and frees their cells."""
        for indices in self._lattice.finished(layer, row):
            cells = [(index, self._cells.pop(index)) for index in indices if index in self._cells]
            self._open.difference_update(indices)
            box = self._lattice.box(indices[0])
            for first in range(box[0].start, box[0].stop, BLOCK_PLANES):
                planes = slice(first, min(first + BLOCK_PLANES, box[0].stop))
                block = self._block(cells, planes, box[1])
                if block is not None:
                    yield block

    def _block(self, cells: list[tuple[CellIndex, _Cell]], planes: slice, rows: slice) -> ScoreBlock | None:
        """Returns planes and rows of the padded volume as a block; None where all of them are padding."""
        plan = self._plan
        low = [max(first, before) for first, before in zip((planes.start, rows.start, 0), plan.pad_before, strict=True)]
        high = [
            min(stop, before + size)
            for stop, before, size in zip(
                (planes.stop, rows.stop, plan.padded[2]), plan.pad_before, plan.shape, strict=True
            )
        ]
        depth, height, width = (stop - first for first, stop in zip(low, high, strict=True))
        if depth <= 0 or height <= 0:
            return None
        framed = np.empty((self._num_classes, 1 + depth, 1 + height, width), np.float32)
        scores = framed[:, 1:, 1:]
        scores[0], scores[1:] = BACKGROUND_LOGIT, 0
        for index, cell in cells:
            box = self._lattice.box(index)
            common = [(max(part.start, a), min(part.stop, b)) for part, a, b in zip(box, low, high, strict=True)]
            if any(start >= stop for start, stop in common):
                continue
            inside = tuple(slice(a - part.start, b - part.start) for (a, b), part in zip(common, box, strict=True))
            into = tuple(slice(a - first, b - first) for (a, b), first in zip(common, low, strict=True))
            weight = self._weights(index, cell.starts, inside)
            np.divide(cell.scores[(slice(None), *inside)], weight, out=scores[(slice(None), *into)])
        return ScoreBlock(low[0] - plan.pad_before[0], low[1] - plan.pad_before[1], framed, uncovered=not cells)

    def _pack(self, indices: set[CellIndex]) -> None:
        for index in indices:
            cell = self._cells[index]
            cell.scores = self._copied(index, cell.scores, self._dtype)
        self._open -= indices

    def _copied(self, index: CellIndex, scores: NDArray[np.floating], dtype: type[np.floating]) -> NDArray[np.floating]:
        """Copies scores [C, d, h, w] for a cell; into memory pages of their own with float16, where memory is short."""
        shape = (self._num_classes, *self._order.sizes_back(self._lattice.shape(index)))
        kept = self._order.turned(np.empty(shape, dtype) if self._dtype == np.float32 else mmap_array(shape, dtype))
        np.copyto(kept, scores, casting="same_kind")
        return kept

    def _weights(self, index: CellIndex, starts: list[PlanTriple], inside: tuple[slice, ...]) -> NDArray[np.float32]:
        """Returns the summed weights of the windows that were added to a cell, for a part of the cell."""
        return np.sum([self._weight[self._lattice.box(index, start)][inside] for start in starts], axis=0)


def peak_blending_bytes(plan: WindowPlan, num_classes: int, dtype: type[np.floating]) -> int:
    """Returns the peak bytes of cells and the current block while every window of a plan is blended."""
    lattice = _Lattice(plan)
    width = plan.padded[2]
    depths, heights = lattice.column_sizes
    voxels = width * np.outer(depths, heights)  # of the cells with one z and one y
    held = np.zeros(voxels.shape, np.bool_)  # whether they are in memory
    waiting = peak = 0  # voxels, bytes per class
    packed = np.dtype(dtype).itemsize
    for layer, row in (row for layers in plan.layers for row in plan.rows_of(layers)):
        touched = lattice.touched_columns((plan.axes[0][layer], plan.axes[1][row], 0))
        waiting += int(voxels[touched].sum(where=~held[touched]))
        held[touched] = True
        finished = lattice.finished_columns(layer, row)
        block = (1 + min(int(depths[finished[0]].max()), BLOCK_PLANES)) * (1 + int(heights[finished[1]].max())) * width
        # The cells of the current window are float32, and so is the block with its frame.
        peak = max(peak, packed * waiting + (4 - packed) * math.prod(plan.patch) + 4 * block)
        waiting -= int(voxels[finished].sum())
        held[finished] = False
    return num_classes * peak


def _slice(span: range) -> slice:
    return slice(span.start, span.stop)
