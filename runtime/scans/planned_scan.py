"""A scan known by its geometry alone: what a prediction needs of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..axes import XYZ
from ..errors import UsageError
from .geometry import MAX_OFFSET_MM, SPACING_RANGE_MM, Grid
from .scan import Scan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .volume import Volume

_CT_BYTES = 2  # per voxel: CT is stored in 16 bits


class PlannedScan(Scan):
    """A CT in a file, as scanners orient it: axes to the patient's left, back and head. It has no voxels.

    Args:
        shape: voxels along x, y and z.
        spacing: (x, y, z) in mm.

    Raises:
        UsageError: a size is below 1, a spacing is outside 0.01…100 mm, or the scan is longer than 100 m.
    """

    def __init__(self, shape: XYZ, spacing: tuple[float, float, float]) -> None:
        _check(shape, spacing)
        x, y, z = spacing
        self.grid = Grid(shape, np.diag([-x, -y, z, 1.0]))
        self.in_memory = None

    @property
    def itemsize(self) -> int:
        """Bytes per voxel in memory."""
        return _CT_BYTES

    def planes(self) -> Iterator[NDArray[Any]]:
        """Raises UsageError."""
        self._refuse()

    def load(self) -> Volume:
        """Raises UsageError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UsageError("a planned scan has a geometry and no voxels; open a file to segment it")


def _check(shape: XYZ, spacing: tuple[float, float, float]) -> None:
    """Refuses what `Grid` would refuse as a file's header, where there is no file."""
    if min(shape) < 1:
        raise UsageError(f"shape: expected voxels from 1 up, got {'×'.join(map(str, shape))}")
    low, high = SPACING_RANGE_MM
    if not low <= min(spacing) <= max(spacing) <= high:
        raise UsageError(
            f"spacing: expected {low:g}…{high:g} mm per axis, got {'×'.join(f'{each:g}' for each in spacing)}"
        )
    longest = max(voxels * step for voxels, step in zip(shape, spacing, strict=True))
    if longest > MAX_OFFSET_MM:
        raise UsageError(f"shape: expected a scan of at most {MAX_OFFSET_MM:g} mm along each axis, got {longest:g} mm")
