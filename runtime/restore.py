"""Bringing scores back to the scan: linear interpolation and argmax, without a source-sized array per class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .errors import InputError
from .resample import align

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .geometry import Grid
    from .resample import AxisMap

Labels: TypeAlias = "NDArray[np.uint8] | NDArray[np.uint16]"

_CHUNK = 16_384  # voxels interpolated at a time: bounds memory when there are many classes


def label_dtype(num_classes: int) -> type[Any]:
    """Returns the smallest unsigned type that holds every label index: uint8 or uint16."""
    return np.uint8 if num_classes <= 256 else np.uint16


class LabelRestorer:
    """Turns score planes of the model's grid, given one after the other, into labels on the scan's grid.

    Only two planes of scores are held. A scan voxel whose eight surrounding model voxels have the same best class has
    that class too (linear interpolation weighs the eight, and the class leads in each of them), so only voxels at
    borders between classes are interpolated; the result is the same.

    Args:
        num_classes: C, background included.
        grid: the model's grid (shape x, y, z).
        source: the scan's grid.

    Raises:
        InputError: the grids are not parallel.
    """

    def __init__(self, num_classes: int, grid: Grid, source: Grid) -> None:
        width, height, depth = grid.shape
        self._plane_shape = (num_classes, height, width)
        self._labels: Labels = np.zeros(source.shape, label_dtype(num_classes), order="F")
        maps = align(grid, source)
        z, y, x = (next(k for k in range(3) if maps[k].source_axis == axis) for axis in (2, 1, 0))
        self._target = self._labels.transpose(z, y, x)
        self._planes = _needed(maps[z].unflipped(depth), depth)
        self._rows = _needed(maps[y].unflipped(height), height)
        self._columns = _needed(maps[x].unflipped(width), width)
        self._depth = depth
        self._given = 0
        self._previous: _ScorePlane | None = None

    def add(self, scores: NDArray[Any]) -> None:
        """Takes the next plane along the model's depth.

        Args:
            scores: [C, H, W] logits or probabilities, float32 or float16; may be reused after the next call.

        Raises:
            InputError: wrong shape, or more planes than the grid has.
        """
        if scores.shape != self._plane_shape or self._given == self._depth:
            raise InputError(
                f"scores: expected {self._depth} planes of shape {self._plane_shape}, "
                f"got plane {self._given + 1} of shape {scores.shape}"
            )
        current = _ScorePlane(scores)
        lower, upper, weights = self._planes
        for k in np.flatnonzero(upper == self._given):
            previous = current if self._previous is None or lower[k] == upper[k] else self._previous
            self._target[k] = self._plane_labels(previous, current, weights[k])
        self._previous = current
        self._given += 1

    def labels(self) -> Labels:
        """Returns the labels [X, Y, Z] on the scan's grid.

        Raises:
            InputError: planes are missing.
        """
        if self._given != self._depth:
            raise InputError(f"scores: expected {self._depth} planes, got {self._given}")
        return self._labels

    def _plane_labels(self, low: _ScorePlane, high: _ScorePlane, weight: np.float32) -> NDArray[Any]:
        (top, bottom, down), (left, right, across) = self._rows, self._columns
        cells = np.ix_(top, left)
        labels = low.best[cells]
        settled = low.uniform if low is high else low.uniform & high.uniform & (low.best == high.best)
        j, i = np.nonzero(~settled[cells])
        width = self._plane_shape[2]
        for start in range(0, len(j), _CHUNK):
            rows, columns = j[start : start + _CHUNK], i[start : start + _CHUNK]
            above, below = top[rows] * width, bottom[rows] * width
            upper = _mix(low, high, weight, above + left[columns], above + right[columns], across[columns])
            lower = _mix(low, high, weight, below + left[columns], below + right[columns], across[columns])
            lower -= upper
            lower *= down[rows]
            lower += upper
            labels[rows, columns] = _argmax(lower)
        return labels


def scores_to_labels(scores: NDArray[Any], grid: Grid, source: Grid) -> Labels:
    """Interpolates scores linearly onto the scan's grid and takes the best class of each voxel.

    Works plane by plane; beside ``scores`` it needs the label map and a few planes.

    Args:
        scores: [C, D, H, W] logits or probabilities on ``grid``.
        grid: the model's grid (shape x, y, z).
        source: the scan's grid.

    Returns:
        [X, Y, Z] on ``source``: uint8 up to 256 classes, else uint16. Of equal scores the lower class wins.

    Raises:
        InputError: the scores do not fit the grid, or the grids are not parallel.
    """
    if scores.ndim != 4 or scores.shape[1:] != grid.shape[::-1]:
        raise InputError(f"scores: expected [C, D, H, W] with D, H, W = {grid.shape[::-1]}, got {scores.shape}")
    restorer = LabelRestorer(len(scores), grid, source)
    for k in range(scores.shape[1]):
        restorer.add(scores[:, k])
    return restorer.labels()


class _ScorePlane:
    """One plane of scores with its best class, and where that class fills a whole cell of 2×2 voxels."""

    def __init__(self, scores: NDArray[Any]) -> None:
        self.flat = np.ascontiguousarray(scores).reshape(len(scores), -1)
        self.best = _argmax(self.flat).reshape(scores.shape[1:])
        best = self.best
        self.uniform = np.ones(best.shape, np.bool_)  # the cell that starts at each voxel
        self.uniform[:-1] &= best[:-1] == best[1:]
        self.uniform[:, :-1] &= best[:, :-1] == best[:, 1:]
        self.uniform[:-1, :-1] &= best[:-1, :-1] == best[1:, 1:]


def _needed(axis: AxisMap, size: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Returns the two neighbours and the weight; the upper neighbour only where it weighs something."""
    lower, upper, weights = axis.neighbours(size)
    return lower, np.where(weights == 0, lower, upper), weights


def _mix(
    low: _ScorePlane,
    high: _ScorePlane,
    weight: np.float32,
    left: NDArray[np.intp],
    right: NDArray[np.intp],
    across: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Returns scores [C, n] between two voxels of a row, blended between two planes."""
    mixed = []
    for index in (left, right):
        value = np.take(low.flat, index, axis=1).astype(np.float32, copy=False)
        if low is not high:
            value += weight * (np.take(high.flat, index, axis=1) - value)
        mixed.append(value)
    mixed[1] -= mixed[0]
    mixed[1] *= across
    mixed[1] += mixed[0]
    return mixed[1]


def _argmax(scores: NDArray[Any]) -> NDArray[Any]:
    """Returns the best class [n] of scores [C, n]; several times faster than np.argmax along a leading axis."""
    best = scores[0].copy()
    labels = np.zeros(best.shape, label_dtype(len(scores)))
    for index in range(1, len(scores)):
        better = scores[index] > best
        np.copyto(best, scores[index], where=better)
        np.copyto(labels, index, where=better)
    return labels
