"""Reads label maps as whole numbers, also from files whose scale factor or float type blurs them a little."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .nifti_file import NiftiFile

TOLERANCE = 1e-3
"""Largest difference of a label from a whole number: a scale factor in single precision and arithmetic on floats blur
labels by less. A larger one means that this is not a label map, or one that was stored in too coarse steps."""

_HIGHEST = np.iinfo(np.uint16).max


def read_integer_labels(file: NiftiFile) -> NDArray[np.unsignedinteger[Any]]:
    """Reads the labels of a file.

    Returns:
        Labels [X, Y, Z] in Fortran order: uint8, or uint16 if a label is above 255.

    Raises:
        InputError: a value is not a label 0…65,535 (the message shows the first one with its voxel), or the file is
            damaged.
        ResourceError: the volume does not fit into memory.
    """
    if not file.yields_float32:
        data = file.stored()
        low, high = data.min(), data.max()
        if low < 0 or high > _HIGHEST:
            raise _refusal(file, data, (data < 0) | (data > _HIGHEST))
        return data.astype(np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16, order="K", copy=False)
    file.check_memory()
    data = np.zeros(file.header.shape, np.uint8, order="F")
    for k, plane in enumerate(file.stored_planes()):
        with np.errstate(over="ignore", invalid="ignore"):
            values = plane.T * np.float64(file.header.slope) + file.header.intercept
            whole = np.rint(values)
            known = (np.abs(values - whole) <= TOLERANCE) & (whole >= 0) & (whole <= _HIGHEST)
        if not known.all():
            raise _refusal(file, values[:, :, None], ~known[:, :, None], first_plane=k)
        if data.dtype == np.uint8 and whole.max() > np.iinfo(np.uint8).max:
            data = data.astype(np.uint16)
        data[:, :, k] = whole
    return data


def _refusal(file: NiftiFile, values: NDArray[Any], refused: NDArray[np.bool_], first_plane: int = 0) -> InputError:
    """Returns the error for the first refused value of some planes [X, Y, Z], with its voxel in the file.

    Args:
        file: the label map's file.
        values: [X, Y, Z] real values of the planes.
        refused: [X, Y, Z] true for values that are not labels.
        first_plane: index of the first of these planes in the file.
    """
    z, y, x = np.unravel_index(int(refused.T.argmax()), refused.T.shape)
    value, header = float(values[x, y, z]), file.header
    fractional = not math.isfinite(value) or abs(value - round(value)) > TOLERANCE
    expected = "integer labels" if fractional else f"integer labels 0…{_HIGHEST}"
    advice = "is this the label map?"
    if fractional and header.is_scaled and header.dtype.kind != "f":
        advice = f"it is stored in steps of {abs(header.slope):.3g} (scl_slope): store the integers themselves"
    place = f"({x}, {y}, {z + first_plane})"
    return InputError(f'"{file.path.name}": expected {expected}, got {value:.6g} at voxel {place}; {advice}')
