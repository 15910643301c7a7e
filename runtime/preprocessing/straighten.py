"""Resamples between a sheared grid and one with right angles: maps each voxel by the whole affine, in chunks.

`resample` works axis by axis, which needs parallel axes. Between a scan with a gantry tilt and the network's grid,
which has right angles, every voxel has its own position among eight neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .neighbours import Neighbours, interpolate_in_place, nearest_index
from .voxel_mapping import VoxelMapping, along_axes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..scans.geometry import Grid

Positions: TypeAlias = "list[NDArray[np.float64]]"  # along z, y and x, in voxels

_HALF_VOXEL = 0.5


def straighten_linear(
    array: NDArray[Any], source: Grid, target: Grid, outside: float | None = None, floor: float | None = None
) -> NDArray[np.float32]:
    """Interpolates linearly between the eight source voxels around every target voxel.

    Args:
        array: [Z, Y, X] values on ``source``.
        source: grid of ``array``.
        target: grid of the result.
        outside: value of voxels more than half a voxel beyond the outermost centres; None repeats the outermost value.
        floor: smallest value; lower ones are raised to it before interpolation. None raises nothing.

    Returns:
        Values [Z, Y, X] on ``target``, C-contiguous.
    """
    return _straightened(array, source, target, np.dtype(np.float32), partial(_linear, floor=floor), outside)


def straighten_nearest(array: NDArray[Any], source: Grid, target: Grid, outside: int | None = None) -> NDArray[Any]:
    """Gives every target voxel the value of the source voxel with the closest index; for label maps.

    Args:
        array: [Z, Y, X] values on ``source``.
        source: grid of ``array``.
        target: grid of the result.
        outside: as in `straighten_linear`.

    Returns:
        Values [Z, Y, X] on ``target``, in the array's type.
    """
    return _straightened(array, source, target, array.dtype, _nearest, outside)


def _straightened(
    array: NDArray[Any],
    source: Grid,
    target: Grid,
    dtype: np.dtype[Any],
    values_at: Callable[[NDArray[Any], Positions], NDArray[Any]],
    outside: float | None,
) -> NDArray[Any]:
    """Resamples tile by tile; ``values_at`` returns an array's values at n positions along its axes."""
    view, own = along_axes_of(array, source, target)
    result = np.empty(target.shape.dhw, dtype)
    mapping = VoxelMapping(target, own)
    for tile in mapping.tiles():
        positions = [mapping.positions(tile, axis) for axis in range(3)]
        covered = _covered(positions, view.shape, outside)
        values = result[tile.plane, tile.rows, tile.columns]
        if outside is not None:
            values[...] = outside
        values[covered] = values_at(view, [along[covered] for along in positions])
    return result


def _covered(positions: Positions, shape: tuple[int, ...], outside: float | None) -> NDArray[np.bool_]:
    """Returns a mask of the positions that get a value of the array; the others get ``outside``."""
    covered = np.ones(positions[0].shape, np.bool_)
    if outside is not None:
        for along, size in zip(positions, shape, strict=True):
            covered &= (along >= -_HALF_VOXEL) & (along <= size - _HALF_VOXEL)
    return covered


def _nearest(view: NDArray[Any], positions: Positions) -> NDArray[Any]:
    return view[tuple(nearest_index(along, size) for along, size in zip(positions, view.shape, strict=True))]


def _linear(view: NDArray[Any], positions: Positions, floor: float | None) -> NDArray[np.float32]:
    z, y, x = (Neighbours.at(along, size) for along, size in zip(positions, view.shape, strict=True))

    def values(k: NDArray[np.intp], j: NDArray[np.intp], i: NDArray[np.intp]) -> NDArray[np.float32]:
        gathered = view[k, j, i]
        if floor is not None:
            np.maximum(gathered, view.dtype.type(floor), out=gathered)
        return gathered.astype(np.float32, copy=False)

    def row(k: NDArray[np.intp], j: NDArray[np.intp]) -> NDArray[np.float32]:
        return interpolate_in_place(values(k, j, x.lower), values(k, j, x.upper), x.weight)

    def plane(k: NDArray[np.intp]) -> NDArray[np.float32]:
        return interpolate_in_place(row(k, y.lower), row(k, y.upper), y.weight)

    return interpolate_in_place(plane(z.lower), plane(z.upper), z.weight)
