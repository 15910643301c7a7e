"""Refuses scans with impossible values or extents, and warns about unusual ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..task import Modality, Task
from .intensity_check import TENFOLD, ct_mismatch, looks_like_ct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..scans.geometry import Grid
    from ..scans.intensity_sample import IntensitySample

MAX_VALUE = 1e15  # far beyond any scanner; float32 arithmetic stays finite below it
MAX_EXTENT_MM = 4000.0  # no patient and no table is longer
_COARSE = 4.0  # a scan this many times coarser than the task causes a warning
_HIGHEST_HU = 70_000.0  # beyond metal on any scale, and beyond 16 bits
_NARROWEST_WINDOW_HU = 20.0  # narrower clip ranges are not in HU
_FEWEST_GREYS = 21  # a scan has more: crops of MR around a hippocampus have 109 or more
_MOST_LABELS = 256  # of any model; scans of 8 bits have as many grey values
_SHARE_WITHIN_LABELS = 0.5  # of neighbours; in scans of 8 bits, noise leaves 0.08 of them equal, and 0.25 in crops
_FEWEST_VALUES = 10_000  # below, few values say little
_SMALL = "the field of view is much smaller than what the network sees at once"
_THIN = 1 / 3  # of the patch's extent; whole scans of data sets made for their patch reach down to 0.37 of it


def check_scan(sample: IntensitySample, low: float, high: float, source: Grid, task: Task) -> tuple[str, ...]:
    """Refuses a scan with impossible values and returns the warnings about unusual values and geometry.

    Args:
        sample: sample of the scan's values.
        low: smallest value of the scan.
        high: largest value of the scan.
        source: the scan's own grid.
        task: the task.

    Raises:
        InputError: the values are not finite, beyond ±1e15, or all the same.
    """
    check_values(low, high)
    return (*value_warnings(sample, low, high, task), *geometry_warnings(source, task))


def check_values(low: float, high: float) -> None:
    """Checks a scan's smallest and largest value.

    Raises:
        InputError: the values are not finite, beyond ±1e15, or all the same.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("values: expected finite values, got NaN or Inf; repair the scan or replace them")
    check_magnitude(low, high)
    if low == high:
        raise InputError(f"values: expected an image, got the same value {low:g} in every voxel; check the export")


def check_magnitude(low: float, high: float) -> None:
    """Checks the smallest and largest of some finite values, before they are converted to float32.

    Raises:
        InputError: they are beyond ±1e15.
    """
    if max(-low, high) > MAX_VALUE:
        raise InputError(f"values: expected at most ±{MAX_VALUE:g}, got {low:g} to {high:g}; the scaling is wrong")


def check_extent(grid: Grid) -> None:
    """Checks the extent of a grid's field of view.

    Raises:
        InputError: an axis is longer than 4000 mm.
    """
    extent = max(size * step for size, step in zip(grid.shape, grid.spacing, strict=True))
    if extent > MAX_EXTENT_MM:
        raise InputError(
            f"geometry: expected a scan of at most {MAX_EXTENT_MM:g} mm, got {extent:.0f} mm; "
            "the spacing in the header is wrong"
        )


def value_warnings(sample: IntensitySample, low: float, high: float, task: Task) -> tuple[str, ...]:
    """Returns warnings if a scan's values do not fit the task's modality or intensity range.

    Args:
        sample: sample of the scan's values.
        low: smallest value of the scan.
        high: largest value of the scan.
        task: the task.
    """
    if _looks_like_labels(sample):
        return (
            f"intensities: expected {task.modality.value}, got {low:g} to {high:g} in few whole "
            "numbers: this looks like a label map; give the scan",
        )
    half = "half of the values lie from {:.4g} to {:.4g}".format(*np.percentile(sample.values, (25, 75)))
    if task.modality is Modality.MR:
        if looks_like_ct(sample):
            return (f"intensities: expected MR, got values from {low:g} to {high:g}, {half}: this looks like CT",)
        return ()
    clip_low, clip_high = task.intensity.clip
    in_hu = task.intensity.clip_percentiles or clip_high - clip_low >= _NARROWEST_WINDOW_HU
    doubt = None  # a narrower clip range means a task for normalised values, so these are expected
    if in_hu:
        doubt = TENFOLD if high > _HIGHEST_HU else ct_mismatch(sample)
    if doubt is not None:
        return (f"intensities: expected CT in HU (air near -1000, muscle near 50), but {half}: {doubt}",)
    if not task.intensity.clip_percentiles and (high <= clip_low or low >= clip_high):
        return (f"values run from {low:g} to {high:g}: none is in the task's range {clip_low:g}…{clip_high:g}",)
    return ()


def _looks_like_labels(sample: IntensitySample) -> bool:
    """Whether values are whole numbers, the lowest 0, fewer than a scan has, or mostly equal to their neighbours'."""
    values = sample.values
    if values.size < _FEWEST_VALUES or values.min() != 0 or np.any(values % 1):
        return False
    found, counts = np.unique(values, return_counts=True)
    if found.size < _FEWEST_GREYS:
        return True
    image = values != found[counts.argmax()]  # without the background
    pairs = image[1:] | image[:-1]
    return found.size <= _MOST_LABELS and float(np.mean(np.diff(values)[pairs] == 0)) > _SHARE_WITHIN_LABELS


def modality_warnings(modality: str | None, task: Task) -> tuple[str, ...]:
    """Returns a warning if a scan's header names another modality than the task's.

    Args:
        modality: DICOM's Modality; None where it is not known.
        task: the task.
    """
    if modality is None or modality == task.modality.value:
        return ()
    return (f"the scan's header says {modality}, and the task is for {task.modality.value}: check that it is the scan",)


def geometry_warnings(source: Grid, task: Task) -> tuple[str, ...]:
    """Returns warnings if a scan is much coarser than the task's spacing or much smaller than its patch."""
    own = source.reoriented(task.orientation)
    return (*_coarse_warnings(own, task), *patch_warnings(own.shape, own.spacing, task))


def _coarse_warnings(own: Grid, task: Task) -> tuple[str, ...]:
    coarse = [
        f"{axis} {old:.3g} mm"
        for axis, old, new in zip("xyz", own.spacing, task.spacing, strict=True)
        if old > _COARSE * new and old > 2.0
    ]
    if not coarse:
        return ()
    wanted = " × ".join(f"{step:g}" for step in task.spacing)
    return (f"the scan is much coarser ({', '.join(coarse)}) than the task's {wanted} mm: small organs may be missed",)


def patch_warnings(shape: Sequence[int], spacing: Sequence[float], task: Task) -> tuple[str, ...]:
    """Returns a warning if a scan is much smaller than the task's patch, the only one that depends on the patch.

    Args:
        shape: number of voxels (x, y, z) along the axes of the task's orientation.
        spacing: (x, y, z) in mm.
        task: the task.
    """
    thin: list[str] = []
    for axis, size, old, voxels, new in zip("xyz", shape, spacing, task.patch, task.spacing, strict=True):
        extent, patch = size * old, voxels * new
        if extent < _THIN * patch:
            thin.append(f"{axis} {extent:.3g} mm of the patch's {patch:.3g} mm")
    if not thin:
        return ()
    return (f"{_SMALL} ({', '.join(thin)}): labels may differ from those of a larger scan",)


def without_patch_warnings(warnings: Iterable[str]) -> tuple[str, ...]:
    """Returns the warnings about a scan that hold for tasks of every patch."""
    return tuple(warning for warning in warnings if not warning.startswith(_SMALL))


def no_tissue_warning(threshold: float) -> str:
    """Returns the warning for a scan without a voxel above ``threshold``."""
    return f"no tissue found: no value is above {threshold:g}, so the whole scan is searched"
