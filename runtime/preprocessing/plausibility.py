"""What a scan must be to be worked on at all, and what about it deserves a word."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..errors import InputError
from ..task import Modality, Task

if TYPE_CHECKING:
    from ..scans.geometry import Grid

MAX_VALUE = 1e15  # far beyond any scanner; float32 arithmetic stays finite below it
MAX_EXTENT_MM = 4000.0  # no patient and no table is longer
_COARSE = 4.0  # a scan this many times coarser than the task deserves a word
_CT_AIR_HU = -500.0
_CT_RANGE_HU = (-5_000.0, 70_000.0)  # padding values and metal included


def refuse_values(low: float, high: float) -> None:
    """Checks the range of values of a scan.

    Raises:
        InputError: not finite, beyond 1e15, or a single value.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("values: expected finite values, got NaN or Inf; repair the scan or replace them")
    if max(-low, high) > MAX_VALUE:
        raise InputError(f"values: expected at most ±{MAX_VALUE:g}, got {low:g} to {high:g}; the scaling is wrong")
    if low == high:
        raise InputError(f"values: expected an image, got the same value {low:g} in every voxel; check the export")


def refuse_extent(grid: Grid) -> None:
    """Checks a field of view.

    Raises:
        InputError: longer than any patient.
    """
    extent = max(size * step for size, step in zip(grid.shape, grid.spacing, strict=True))
    if extent > MAX_EXTENT_MM:
        raise InputError(
            f"geometry: expected a scan of at most {MAX_EXTENT_MM:g} mm, got {extent:.0f} mm; "
            "the spacing in the header is wrong"
        )


def value_warnings(low: float, high: float, task: Task) -> tuple[str, ...]:
    """Returns what is odd about a scan's values, for the task's modality."""
    spans = f"values run from {low:g} to {high:g}"
    if task.modality is Modality.MR:
        return (f"{spans}: this looks like CT, the task is for MR",) if low <= _CT_AIR_HU else ()
    if low >= 0:
        return (f"{spans}: a CT in HU has air near -1000; this may be MR, or CT without its offset",)
    if low < _CT_RANGE_HU[0] or high > _CT_RANGE_HU[1]:
        return (f"{spans}: outside what CT in HU can hold",)
    if not task.intensity.clip_percentiles and (high <= task.intensity.clip[0] or low >= task.intensity.clip[1]):
        clip_low, clip_high = task.intensity.clip
        return (f"{spans}: nothing lies in the task's range {clip_low:g}…{clip_high:g}",)
    return ()


def geometry_warnings(source: Grid, task: Task) -> tuple[str, ...]:
    """Returns what is odd about a scan's grid, for the task's spacing."""
    own = source.reoriented(task.orientation).spacing
    coarse = [
        f"{axis} {old:.3g} mm"
        for axis, old, new in zip("xyz", own, task.spacing, strict=True)
        if old > _COARSE * new and old > 2.0
    ]
    if not coarse:
        return ()
    wanted = " × ".join(f"{step:g}" for step in task.spacing)
    return (f"the scan is much coarser ({', '.join(coarse)}) than the task's {wanted} mm: small organs may be missed",)


def no_tissue_warning(threshold: float) -> str:
    """Returns the word for a scan in which no body was found."""
    return f"no tissue found: no value is above {threshold:g}, so the whole scan is searched"
