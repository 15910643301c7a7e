"""Resamples between a sheared grid and one with right angles: maps each voxel by the whole affine, in chunks.

`resample` works axis by axis, which needs parallel axes. Between a scan with a gantry tilt and the network's grid,
which has right angles, every voxel has its own position among eight neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .crossing import Crossing, Neighbours, along_axes_of, mixed, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..scans.geometry import Grid

_HALF_VOXEL = 0.5


def straighten_linear(
    array: NDArray[Any], source: Grid, target: Grid, outside: float | None = None
) -> NDArray[np.float32]:
    """Interpolates linearly between the eight source voxels around every target voxel.

    Args:
        array: [Z, Y, X] values on ``source``.
        source: grid of ``array``.
        target: grid of the result.
        outside: value of voxels more than half a voxel beyond the outermost centres; None repeats the outermost value.

    Returns:
        Values [Z, Y, X] on ``target``, C-contiguous.
    """
    view, own = along_axes_of(array, source, target)
    result = np.empty(target.shape[::-1], np.float32)
    crossing = Crossing(target, own)
    for part in crossing.parts():
        places = [crossing.positions(part, axis) for axis in range(3)]
        seen = _seen(places, view.shape, outside)
        z, y, x = (Neighbours.at(place[seen], size) for place, size in zip(places, view.shape, strict=True))
        into = result[part.plane, part.rows, part.columns]
        if outside is not None:
            into[...] = outside
        into[seen] = _interpolated(view, z, y, x)
    return result


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
    view, own = along_axes_of(array, source, target)
    result = np.empty(target.shape[::-1], array.dtype)
    crossing = Crossing(target, own)
    for part in crossing.parts():
        places = [crossing.positions(part, axis) for axis in range(3)]
        seen = _seen(places, view.shape, outside)
        into = result[part.plane, part.rows, part.columns]
        if outside is not None:
            into[...] = outside
        into[seen] = view[tuple(nearest(place[seen], size) for place, size in zip(places, view.shape, strict=True))]
    return result


def _seen(places: list[NDArray[np.float64]], shape: tuple[int, ...], outside: float | None) -> NDArray[np.bool_]:
    """Returns a mask of the positions that get a value of the array; the others get ``outside``."""
    seen = np.ones(places[0].shape, np.bool_)
    if outside is not None:
        for place, size in zip(places, shape, strict=True):
            seen &= (place >= -_HALF_VOXEL) & (place <= size - _HALF_VOXEL)
    return seen


def _interpolated(view: NDArray[Any], z: Neighbours, y: Neighbours, x: Neighbours) -> NDArray[np.float32]:
    def row(k: NDArray[np.intp], j: NDArray[np.intp]) -> NDArray[np.float32]:
        low, high = (view[k, j, i].astype(np.float32, copy=False) for i in (x.lower, x.upper))
        return mixed(low, high, x.weight)

    def plane(k: NDArray[np.intp]) -> NDArray[np.float32]:
        return mixed(row(k, y.lower), row(k, y.upper), y.weight)

    return mixed(plane(z.lower), plane(z.upper), z.weight)
