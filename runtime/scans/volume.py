"""A volume: voxel values together with their grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import arguments
from ..errors import InputError
from .geometry import Grid
from .voxels import as_voxels

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
