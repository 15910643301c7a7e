"""From a scan to what the network sees, and labels back: the one code that training and the device share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .body import body_mask, sample, tissue_threshold
from .errors import InputError, ResourceError
from .free_memory import free_memory
from .resample import resample_linear, resample_nearest
from .restore import LabelRestorer, scores_to_labels
from .task import Intensity, Modality, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .geometry import Grid
    from .volume import Volume

__all__ = ["LabelRestorer", "ModelInput", "labels_to_model_grid", "scores_to_labels", "to_model_input"]

MAX_VALUE = 1e15  # far beyond any scanner; float32 arithmetic stays finite below it
_SMALLEST_RANGE = 1e-12
MAX_EXTENT_MM = 4000.0  # no patient and no table is longer
_COARSE = 4.0  # a scan this many times coarser than the task deserves a word
_CT_AIR_HU = -500.0
_CT_RANGE_HU = (-5_000.0, 70_000.0)  # padding values and metal included


@dataclass(frozen=True, eq=False)
class ModelInput:
    """A scan on the task's grid, normalised.

    Attributes:
        array: [D, H, W] float32, normalised as the task says.
        body: [D, H, W] whether a voxel may belong to the body; windows without any need no network.
        grid: grid of ``array`` (its shape is x, y, z).
        source: the scan's own grid, where labels go.
        warnings: what should be looked at, one line each.
    """

    array: NDArray[np.float32]
    body: NDArray[np.bool_]
    grid: Grid
    source: Grid
    warnings: tuple[str, ...]


def to_model_input(volume: Volume, task: Task) -> ModelInput:
    """Orients, resamples (plain linear, as in the papers), clips and normalises a scan.

    Raises:
        InputError: values that are not finite or all the same, a sheared grid, or an impossible field of view.
        ResourceError: the resampled scan does not fit into memory.
    """
    low, high = _value_range(volume)
    grid = volume.grid.to_task_grid(task.orientation, task.spacing)
    _check_size(grid)
    array = resample_linear(volume.data.T, volume.grid, grid)
    threshold = tissue_threshold(array, task.foreground)
    body = body_mask(array, threshold)
    warnings = [*volume.warnings, *_value_warnings(low, high, task), *_geometry_warnings(volume.grid, grid, task)]
    if not body.any():
        body[...] = True
        warnings.append(f"no tissue found: no value is above {threshold:g}, so the whole scan is searched")
    _normalise(array, body, task.intensity)
    return ModelInput(array, body, grid, volume.grid, tuple(warnings))


def labels_to_model_grid(labels: Volume, grid: Grid) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Brings a label map onto the model's grid, closest voxel.

    Args:
        labels: integer labels 0…65,535 on a grid whose axes are parallel to ``grid``.
        grid: the model's grid.

    Returns:
        [D, H, W], uint8 where every label is below 256, else uint16.

    Raises:
        InputError: labels out of range, or axes that are not parallel.
    """
    low, high = labels.data.min(), labels.data.max()
    if labels.data.dtype.kind not in "iu" or low < 0 or high > np.iinfo(np.uint16).max:
        raise InputError(f"labels: expected integers 0…65535, got {labels.data.dtype} from {low:g} to {high:g}")
    dtype = np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16
    return resample_nearest(labels.data.T.astype(dtype, copy=False), labels.grid, grid)


def _value_range(volume: Volume) -> tuple[float, float]:
    low, high = float(volume.data.min()), float(volume.data.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("values: expected finite values, got NaN or Inf; repair the scan or replace them")
    if max(-low, high) > MAX_VALUE:
        raise InputError(f"values: expected at most ±{MAX_VALUE:g}, got {low:g} to {high:g}; the scaling is wrong")
    if low == high:
        raise InputError(f"values: expected an image, got the same value {low:g} in every voxel; check the export")
    return low, high


def _check_size(grid: Grid) -> None:
    extent = max(size * step for size, step in zip(grid.shape, grid.spacing, strict=True))
    if extent > MAX_EXTENT_MM:
        raise InputError(
            f"geometry: expected a scan of at most {MAX_EXTENT_MM:g} mm, got {extent:.0f} mm; "
            "the spacing in the header is wrong"
        )
    needed, free = math.prod(grid.shape) * 7, free_memory()  # float32, body mask twice, planes
    if needed > free:
        raise ResourceError(
            f"memory: {grid} needs {needed / 2**20:,.0f} MiB, {free / 2**20:,.0f} MiB are free; crop the scan"
        )


def _value_warnings(low: float, high: float, task: Task) -> list[str]:
    spans = f"values run from {low:g} to {high:g}"
    if task.modality is Modality.MR:
        return [f"{spans}: this looks like CT, the task is for MR"] if low <= _CT_AIR_HU else []
    if low >= 0:
        return [f"{spans}: a CT in HU has air near -1000; this may be MR, or CT without its offset"]
    if low < _CT_RANGE_HU[0] or high > _CT_RANGE_HU[1]:
        return [f"{spans}: outside what CT in HU can hold"]
    if not task.intensity.clip_percentiles and (high <= task.intensity.clip[0] or low >= task.intensity.clip[1]):
        clip_low, clip_high = task.intensity.clip
        return [f"{spans}: nothing lies in the task's range {clip_low:g}…{clip_high:g}"]
    return []


def _geometry_warnings(source: Grid, grid: Grid, task: Task) -> list[str]:
    own = source.reoriented(task.orientation).spacing
    coarse = [
        f"{axis} {old:.3g} mm"
        for axis, old, new in zip("xyz", own, task.spacing, strict=True)
        if old > _COARSE * new and old > 2.0
    ]
    if not coarse:
        return []
    wanted = " × ".join(f"{step:g}" for step in task.spacing)
    return [f"the scan is much coarser ({', '.join(coarse)}) than the task's {wanted} mm: small organs may be missed"]


def _normalise(array: NDArray[np.float32], body: NDArray[np.bool_], intensity: Intensity) -> None:
    """Clips and scales in place, plane by plane."""
    low, high = intensity.clip
    if intensity.clip_percentiles:
        low, high = (float(value) for value in np.percentile(_body_sample(array, body), intensity.clip))
        if not high - low > _SMALLEST_RANGE:
            raise InputError(f"values: the body is {low:g} almost everywhere, nothing to see; check the export")
    if intensity.scale_to is not None:
        start, end = intensity.scale_to
        factor = (end - start) / (high - low)
        shift = start - low * factor
    else:
        factor = 1 / (intensity.divide or 1.0)
        shift = -(intensity.subtract or 0.0) * factor
    for plane in array:
        np.clip(plane, low, high, out=plane)
        plane *= np.float32(factor)
        plane += np.float32(shift)


def _body_sample(array: NDArray[np.float32], body: NDArray[np.bool_]) -> NDArray[Any]:
    inside = sample(array)[sample(body)]
    return inside if inside.size else array[body]
