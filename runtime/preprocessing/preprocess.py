"""From a scan to the network's input; training and the device run this same code."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..memory.memory_limit import check_memory
from ..scans.intensity_sample import IntensitySample
from .body import body_mask, sample, tissue_threshold
from .distribution import Distribution
from .plausibility import check_extent, check_scan, no_tissue_warning
from .resample import resample_linear, resample_nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..scans.geometry import Grid
    from ..scans.volume import Volume
    from ..task import Intensity, Task

PREPARING_BYTES = 7  # per voxel on the task's grid: float32, body mask twice, planes
_SMALLEST_RANGE = 1e-12


@dataclass(frozen=True, eq=False)
class ModelInput:
    """A scan on the task's grid, normalised.

    Attributes:
        array: [D, H, W] float32, normalised as the task defines it.
        body: [D, H, W] body mask; windows without a true voxel are skipped.
        grid: grid of ``array``.
        source: the scan's own grid, on which the label map is written.
        warnings: warnings about the scan, one line each.
    """

    array: NDArray[np.float32]
    body: NDArray[np.bool_]
    grid: Grid
    source: Grid
    warnings: tuple[str, ...]


def to_model_input(volume: Volume, task: Task) -> ModelInput:
    """Orients, resamples (plain linear, as in the papers), clips and normalises a scan.

    A sheared scan is resampled onto a grid with right angles around it, with air in the corners beyond its field of
    view.

    Raises:
        InputError: the values are not finite or all the same, or the field of view is longer than 4000 mm.
        ResourceError: the resampled scan does not fit into memory.
    """
    low, high = float(volume.data.min()), float(volume.data.max())
    sample = IntensitySample.of(volume.data)
    warnings = [*volume.warnings, *check_scan(sample, low, high, volume.grid, task)]
    grid = task.grid_over(volume.grid)
    check_extent(grid)
    check_memory(f"a scan of {grid}", math.prod(grid.shape) * PREPARING_BYTES)
    relative = task.intensity.clip_percentiles or task.foreground.relative  # to the scan's values, so without padding
    floor = Distribution.of(sample.values, lowest=0).floor if relative else None
    array = resample_linear(volume.data.T, volume.grid, grid, floor=floor, outside=_beyond(low, task, floor))
    # A straight grid around a sheared scan has corners without values, which must not influence the percentile.
    threshold = tissue_threshold(volume.data if volume.grid.is_sheared else array, task.foreground)
    body = body_mask(array, threshold)
    if not body.any():
        body[...] = True
        warnings.append(no_tissue_warning(threshold))
    normaliser = Normaliser.of(task.intensity, array, body)
    for plane in array:
        normaliser(plane)
    return ModelInput(array, body, grid, volume.grid, tuple(warnings))


def labels_to_model_grid(labels: Volume, grid: Grid) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Resamples a label map onto the model's grid; every voxel gets the label of the closest one.

    Args:
        labels: integer labels 0…65,535 on a grid whose axes are parallel to ``grid``, or sheared.
        grid: the model's grid.

    Returns:
        Labels [D, H, W]: uint8 if every label is below 256, else uint16.

    Raises:
        InputError: a label is out of range, or the axes are not parallel.
    """
    low, high = labels.data.min(), labels.data.max()
    if labels.data.dtype.kind not in "iu" or low < 0 or high > np.iinfo(np.uint16).max:
        raise InputError(f"labels: expected integers 0…65535, got {labels.data.dtype} from {low:g} to {high:g}")
    dtype = np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16
    return resample_nearest(labels.data.T.astype(dtype, copy=False), labels.grid, grid, outside=0)


@dataclass(frozen=True)
class Normaliser:
    """Clips raw intensities to low…high and maps them linearly: value · factor + shift."""

    low: float
    high: float
    factor: float
    shift: float

    @staticmethod
    def of(intensity: Intensity, array: NDArray[np.float32], body: NDArray[np.bool_]) -> Normaliser:
        """Returns the normaliser of a scan: by percentiles of the body or statistics of the scan, else as `fixed`.

        Args:
            intensity: the task's intensity settings.
            array: [D, H, W] raw intensities.
            body: [D, H, W] body mask.

        Raises:
            InputError: the body, or the scan, has a single value.
        """
        if not intensity.clip_percentiles:
            return Normaliser.fixed(intensity)
        if intensity.standardise:
            return Normaliser._standardising(array)
        low, high = (float(value) for value in np.percentile(_body_sample(array, body), intensity.clip))
        if not high - low > _SMALLEST_RANGE:
            raise InputError(f"values: the body is {low:g} almost everywhere; check the export")
        return Normaliser._between(intensity, low, high)

    @staticmethod
    def fixed(intensity: Intensity) -> Normaliser:
        """Returns the normaliser of a task whose clip range is in the scan's own unit."""
        return Normaliser._between(intensity, *intensity.clip)

    @staticmethod
    def _standardising(array: NDArray[np.float32]) -> Normaliser:
        planes = array[_nonzero_box(array)]  # plane by plane, because whole scans in float64 need twice the memory
        mean = sum(plane.mean(dtype=np.float64) for plane in planes) / max(1, len(planes))
        squares = (np.square(plane - mean).mean(dtype=np.float64) for plane in planes)
        deviation = math.sqrt(sum(squares) / max(1, len(planes)))
        if not deviation > _SMALLEST_RANGE:
            raise InputError(f"values: the image is {mean:g} almost everywhere; check the export")
        return Normaliser(-math.inf, math.inf, 1 / deviation, -mean / deviation)

    @staticmethod
    def _between(intensity: Intensity, low: float, high: float) -> Normaliser:
        if intensity.scale_to is not None:
            start, end = intensity.scale_to
            factor = (end - start) / (high - low)
            return Normaliser(low, high, factor, start - low * factor)
        factor = 1 / (intensity.divide or 1.0)
        return Normaliser(low, high, factor, -(intensity.subtract or 0.0) * factor)

    def __call__(self, plane: NDArray[np.float32]) -> None:
        """Normalises a plane in place."""
        np.clip(plane, self.low, self.high, out=plane)
        plane *= np.float32(self.factor)
        plane += np.float32(self.shift)


def _nonzero_box(array: NDArray[np.float32]) -> tuple[slice, ...]:
    """Returns the smallest box that holds all non-zero voxels of [D, H, W]."""
    nonzero = array != 0
    sides = [np.flatnonzero(nonzero.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    return tuple(slice(side[0], side[-1] + 1) if side.size else slice(0) for side in sides)


def _beyond(low: float, task: Task, floor: float | None) -> float:
    """Returns a raw value that the task treats as air, whatever the lowest value ``low`` of the scan is."""
    if task.intensity.clip_percentiles or task.foreground.relative:
        return low if floor is None else max(low, floor)
    return min(low, task.intensity.clip[0], task.foreground.above)


def _body_sample(array: NDArray[np.float32], body: NDArray[np.bool_]) -> NDArray[np.float32]:
    inside = sample(array)[sample(body)]
    return inside if inside.size else array[body]
