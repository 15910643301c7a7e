"""Values handed over in memory, as the array that a volume is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


def as_voxels(name: str, values: Any) -> NDArray[Any]:
    """Returns real numbers as an array; NumPy's are taken as they are, nothing is copied.

    Args:
        name: of the argument, for messages.
        values: an array, nested lists, or what else NumPy can look at, such as a torch tensor on the CPU.

    Raises:
        InputError: masked values, whose place somebody has to fill first, or no array of real numbers.
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
