"""Resamples between grids whose axes are parallel: one axis at a time, one plane at a time.

Along each axis a target voxel reads its two neighbours (linear) or the closer one (nearest); beyond the outermost
centres the outermost value is repeated. Plain linear interpolation without a low-pass filter is what the papers'
MONAI ``Spacing`` does in training, so the device does it too.

Between a sheared grid and one with right angles, `straighten` does the same voxel by voxel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .neighbours import POSITION_DECIMALS, Neighbours, interpolate_in_place, nearest_index
from .straighten import straighten_linear, straighten_nearest
from .voxel_mapping import differ_in_shear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..scans.geometry import Grid

PARALLEL_TOLERANCE = 0.01  # voxels an axis may drift sideways over its length


@dataclass(frozen=True)
class AxisMap:
    """Positions of the voxels of one target axis along the source axis parallel to it.

    Attributes:
        source_axis: 0, 1, 2 for x, y, z of the source grid.
        flipped: whether the two axes have opposite directions; positions then refer to the flipped source.
        positions: [n] source voxel coordinates, increasing.
    """

    source_axis: int
    flipped: bool
    positions: NDArray[np.float64]

    def unflipped(self, size: int) -> AxisMap:
        """Returns the same map with positions on the source axis as stored, where they may be decreasing."""
        if not self.flipped:
            return self
        return AxisMap(self.source_axis, False, np.round(size - 1 - self.positions, POSITION_DECIMALS))

    def neighbours(self, size: int) -> Neighbours:
        """Returns the two source voxels around each position; ``size``: number of source voxels."""
        return Neighbours.at(self.positions, size)

    def nearest(self, size: int) -> NDArray[np.intp]:
        """Returns the closest source index, [n]; a tie goes to the upper one."""
        return nearest_index(self.positions, size)


def align(source: Grid, target: Grid) -> tuple[AxisMap, AxisMap, AxisMap]:
    """Returns the maps of the x, y and z axes of ``target`` to the parallel axes of ``source``.

    Raises:
        InputError: the axes are not parallel.
    """
    step = np.linalg.inv(source.affine) @ target.affine
    rotation, start = step[:3, :3], step[:3, 3]
    axes = np.abs(rotation).argmax(axis=0)
    drift = np.abs(rotation) * (np.asarray(target.shape) - 1)
    drift[axes, [0, 1, 2]] = 0
    if sorted(axes.tolist()) != [0, 1, 2] or drift.max() > PARALLEL_TOLERANCE:
        raise InputError(f"resample: expected grids with parallel axes, got {source} and {target}")
    x, y, z = (
        _axis_map(int(axis), source.shape[axis], start[axis] + rotation[axis, k] * np.arange(target.shape[k]))
        for k, axis in enumerate(axes)
    )
    return x, y, z


def axes_along(maps: tuple[AxisMap, AxisMap, AxisMap]) -> tuple[int, int, int]:
    """Returns the target's axes (0, 1, 2 for x, y, z) that are parallel to the source's z, y and x."""
    found = [axis.source_axis for axis in maps]
    return found.index(2), found.index(1), found.index(0)


def _axis_map(axis: int, size: int, positions: NDArray[np.float64]) -> AxisMap:
    flipped = bool(positions[-1] < positions[0])
    return AxisMap(axis, flipped, np.round(size - 1 - positions if flipped else positions, POSITION_DECIMALS))


def resample_linear(
    array: NDArray[Any], source: Grid, target: Grid, *, outside: float | None = None, floor: float | None = None
) -> NDArray[np.float32]:
    """Interpolates ``array`` linearly onto ``target``.

    Needs memory for the result and a few planes; integers are converted plane by plane.

    Args:
        array: [Z, Y, X] values on ``source``.
        source: grid of ``array``.
        target: grid of the result; its axes may be permuted and flipped.
        outside: value beyond the source's field of view if one of the grids is sheared; None repeats the outermost
            value, as between parallel grids.
        floor: smallest value; lower ones (padding) are raised to it before interpolation. None raises nothing.

    Returns:
        Values [Z, Y, X] on ``target``, C-contiguous.

    Raises:
        InputError: both grids have right angles and are not parallel, or the array does not have the grid's shape.
    """
    _refuse_other_shape(array, source)
    if differ_in_shear(source, target):
        return straighten_linear(array, source, target, outside, floor)
    view, maps = _aligned(array, source, target)
    result = np.empty(target.shape.dhw, np.float32)
    planes = view if floor is None else (np.maximum(plane, view.dtype.type(floor)) for plane in view)
    for plane, resampled in zip(result, resample_planes(planes, view.shape, maps), strict=True):
        plane[...] = resampled
    return result


def resample_planes(
    planes: Iterable[NDArray[Any]], shape: tuple[int, ...], maps: tuple[AxisMap, AxisMap, AxisMap]
) -> Iterator[NDArray[np.float32]]:
    """Interpolates a volume linearly from an iterator of its planes, keeping only a few in memory.

    Args:
        planes: planes [Y, X] in the direction of ``maps``; read to the end.
        shape: [Z, Y, X] shape of the whole volume.
        maps: maps of the target's z, y and x axes, with positions increasing along z.

    Yields:
        The target's planes [Y', X'] as float32. Do not write to them: where nothing is interpolated, they are the
        source's own.
    """
    along_z, along_y, along_x = maps
    interpolate = PlaneInterpolator(along_y, along_x, shape[1:])
    along = along_z.neighbours(shape[0])
    z_first = len(along.lower) <= shape[0]  # whichever leaves fewer planes to interpolate
    numbered = enumerate(planes)
    held: dict[int, NDArray[Any]] = {}
    newest = -1
    for low, high, weight in zip(along.lower.tolist(), along.upper.tolist(), along.weight, strict=True):
        held = {index: plane for index, plane in held.items() if index >= low}
        while newest < high:
            newest, plane = next(numbered)
            if newest >= low:
                held[newest] = plane if z_first else interpolate(plane)
        between = _between(held[low], held[high], weight)
        yield interpolate(between) if z_first else between
    for _ in numbered:
        pass


def resample_nearest(array: NDArray[Any], source: Grid, target: Grid, outside: int | None = None) -> NDArray[Any]:
    """Resamples ``array`` onto ``target`` by the closest source voxel; for label maps.

    Args:
        array: [Z, Y, X] values on ``source``.
        source: grid of ``array``.
        target: grid of the result; its axes may be permuted and flipped.
        outside: value beyond the source's field of view if one of the grids is sheared; None repeats the outermost
            value, as between parallel grids.

    Returns:
        Values [Z, Y, X] on ``target``, in the array's type.

    Raises:
        InputError: as `resample_linear`.
    """
    _refuse_other_shape(array, source)
    if differ_in_shear(source, target):
        return straighten_nearest(array, source, target, outside)
    view, maps = _aligned(array, source, target)
    k, j, i = (axis.nearest(size) for axis, size in zip(maps, view.shape, strict=True))
    result = np.empty(target.shape.dhw, array.dtype)
    for index, plane in zip(k, result, strict=True):
        plane[...] = view[index][np.ix_(j, i)]
    return result


class PlaneInterpolator:
    """Interpolates planes [H, W] linearly onto fixed rows and columns.

    Args:
        rows: map of the target's rows.
        columns: map of the target's columns.
        shape: (H, W) of the source planes.
    """

    def __init__(self, rows: AxisMap, columns: AxisMap, shape: tuple[int, ...]) -> None:
        self._row_neighbours = rows.neighbours(shape[0])
        self._column_neighbours = columns.neighbours(shape[1])
        self.shape = len(rows.positions), len(columns.positions)
        self._rows_first = self.shape[0] <= shape[0]

    def __call__(self, plane: NDArray[Any]) -> NDArray[np.float32]:
        """Returns the interpolated plane [H', W'] as float32; the plane itself if nothing has to change."""
        values = plane.astype(np.float32, copy=False)
        for axis in (0, 1) if self._rows_first else (1, 0):
            values = _interpolate(values, axis, (self._row_neighbours, self._column_neighbours)[axis])
        return values


def _between(low: NDArray[Any], high: NDArray[Any], weight: np.float32) -> NDArray[np.float32]:
    """Returns low + weight · (high − low) as float32; ``low`` itself if the weight is 0 and it is float32."""
    start = low.astype(np.float32, copy=False)
    if weight == 0:
        return start
    difference = np.subtract(high, start, dtype=np.float32)
    difference *= weight
    difference += start
    return difference


def _interpolate(values: NDArray[np.float32], axis: int, along: Neighbours) -> NDArray[np.float32]:
    lower, weight = along.lower, along.weight
    if len(lower) == values.shape[axis] and not weight.any() and bool((lower == np.arange(len(lower))).all()):
        return values
    low, high = np.take(values, lower, axis=axis), np.take(values, along.upper, axis=axis)
    return interpolate_in_place(low, high, weight[:, None] if axis == 0 else weight)


def plane_reorienter(maps: tuple[AxisMap, AxisMap, AxisMap]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Returns a function that views a stored plane [Y, X] in the target's axis order and direction.

    Args:
        maps: maps of the target's z, y and x axes; the target's z is parallel to the stored z.
    """
    _, along_y, along_x = maps
    transposed = along_y.source_axis < along_x.source_axis
    rows, columns = (slice(None, None, -1 if axis.flipped else 1) for axis in (along_y, along_x))

    def reoriented(plane: NDArray[Any]) -> NDArray[Any]:
        return (plane.T if transposed else plane)[rows, columns]

    return reoriented


def _refuse_other_shape(array: NDArray[Any], source: Grid) -> None:
    if array.shape != source.shape.dhw:
        raise InputError(f"resample: expected an array [Z, Y, X] of shape {source.shape.dhw}, got {array.shape}")


def _aligned(array: NDArray[Any], source: Grid, target: Grid) -> tuple[NDArray[Any], tuple[AxisMap, AxisMap, AxisMap]]:
    """Returns the array as a view in the target's axis order and direction, and the maps of its [Z, Y, X] axes."""
    x, y, z = align(source, target)
    maps = (z, y, x)
    view = array.transpose([2 - axis.source_axis for axis in maps])
    return view[tuple(slice(None, None, -1 if axis.flipped else 1) for axis in maps)], maps
