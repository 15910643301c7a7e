"""Converts values in memory to the array of a volume."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


def as_voxels(name: str, values: Any) -> NDArray[Any]:
    """Returns real numbers as an array; a NumPy array is returned itself, without a copy.

    Args:
        name: name of the argument, for messages.
        values: an array, nested lists, or another object that NumPy can convert, such as a torch tensor on the CPU.

    Raises:
        InputError: ``values`` has masked elements, which need a value first, or is not an array of real numbers.
    """
    if np.ma.is_masked(values):
        raise InputError(
            f"{name}: expected a value in every voxel, got a masked array; say what stands in the masked voxels: "
            ".filled(value), air is -1000 in CT"
        )
    try:
        data: NDArray[Any] = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:  # rows of different lengths, a tensor on a GPU
        reason = str(error).partition("\n")[0]
        raise InputError(f"{name}: expected an array [X, Y, Z] of numbers ({reason})") from None
    if data.dtype.kind not in "iuf":
        raise InputError(f"{name}: expected real numbers, got {data.dtype}; convert to integers or float32")
    return data
