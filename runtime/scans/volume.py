"""A volume: voxel values together with the grid they lie on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .geometry import Grid


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxel values and their grid.

    Attributes:
        data: [X, Y, Z] real numbers, in the axis order of ``grid``.
        grid: where the voxels lie.
        warnings: what a reader should know about how the values were obtained, one line each.

    Raises:
        InputError: data that are not real numbers, or not of the grid's shape.
    """

    data: NDArray[Any]
    grid: Grid
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.data.dtype.kind not in "iuf":
            raise InputError(f"volume: expected real numbers, got {self.data.dtype}; convert to integers or float32")
        if self.data.shape != self.grid.shape:
            raise InputError(f"volume: expected shape {self.grid.shape} as the grid says, got {self.data.shape}")

    def __repr__(self) -> str:
        return f"Volume({self.data.dtype}, {self.grid!r})"
