"""A volume: voxel values together with their grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import arguments
from ..errors import InputError, first_line
from .geometry import Grid


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxel values and their grid.

    Attributes:
        data: [X, Y, Z] real numbers, in the axis order of ``grid``.
        grid: the grid of ``data``.
        warnings: warnings from reading the values, such as replaced NaN; one line each.

    Raises:
        UsageError: ``data`` is not a NumPy array, or ``grid`` not a `Grid`.
        InputError: ``data`` is not real numbers, is masked in places, or does not have the grid's shape.
    """

    data: NDArray[Any]
    grid: Grid
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        arguments.instance("data", self.data, np.ndarray, "make an array of it with numpy.asarray")
        arguments.instance("grid", self.grid, Grid, "make one of shape and affine: Grid(data.shape, affine)")
        as_voxels("volume", self.data)
        if self.data.shape != self.grid.shape:
            raise InputError(f"volume: expected shape {self.grid.shape} as the grid says, got {self.data.shape}")

    def __repr__(self) -> str:
        return f"Volume({self.data.dtype}, {self.grid!r})"


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
            f"{name}: expected a value in every voxel, got a masked array; fill the masked voxels first: "
            ".filled(value), air is -1000 in CT"
        )
    try:
        data: NDArray[Any] = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:  # rows of different lengths, a tensor on a GPU
        raise InputError(f"{name}: expected an array [X, Y, Z] of numbers ({first_line(error)})") from None
    if data.dtype.kind not in "iuf":
        raise InputError(f"{name}: expected real numbers, got {data.dtype}; convert to integers or float32")
    return data
