"""The steps of nnU-Net's predictor around its network, written out, each replaceable by the one that bedside takes.

Facts from nnU-Net 2.8.1: its preprocessor, its resampling, its sliding window and its export of predictions. Arrays are
[D, H, W] along the network's axes, spacings in mm in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from bedside.runtime import Task, Volume
from bedside.runtime.axes import DHW
from bedside.runtime.preprocessing.neighbours import nearest_index
from bedside.runtime.preprocessing.resample import resample_nearest
from bedside.runtime.scans.geometry import SAME_SPACING
from bedside.runtime.windows.plan import gaussian_weight, plan_windows
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

OVERLAP = 0.5
THICK = 3.0  # ratio of spacings from which the thick axis is resampled by itself, to the nearest slice
LARGEST_WEIGHT = 10.0

Network = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Steps:
    """How a scan is prepared and its windows are blended; the defaults are nnU-Net's, the opposites bedside's.

    Attributes:
        cubic: the image is resampled with splines of order 3, and to the nearest slice along an axis three times as
            thick as another; otherwise linearly.
        clip_first: intensities are clipped before the image is resampled.
        stretch: the resampled grid covers the field of view exactly, with a spacing near the plans'; otherwise it has
            the plans' spacing and the same centre.
        spread: windows are spread evenly; otherwise the last one is moved back to end with the scan.
        half: logits and Gaussian weights are summed in float16; otherwise in float32, with bedside's weights.
    """

    cubic: bool = True
    clip_first: bool = True
    stretch: bool = True
    spread: bool = True
    half: bool = True


NNUNET = Steps()
BEDSIDE = Steps(cubic=False, clip_first=False, stretch=False, spread=False, half=False)


def in_network_axes(volume: Volume, task: Task) -> tuple[NDArray[Any], DHW, tuple[float, ...]]:
    """Returns a scan or label map as [D, H, W], its shape and its spacing."""
    grid = volume.grid.reoriented(task.orientation)
    return resample_nearest(volume.data.T, volume.grid, grid), grid.shape.dhw, grid.spacing[::-1]


def labels_of(network: Network, task: Task, scan: Volume, steps: Steps = NNUNET) -> NDArray[np.intp]:
    """Returns the labels [D, H, W] of a scan, on its own grid along the network's axes.

    nnU-Net also crops the scan to the box of its non-zero voxels; the scan is expected to fill it.
    """
    image, shape, spacing = in_network_axes(scan, task)
    prepared = prepare(image.astype(np.float32), spacing, task, steps)
    logits = blended(network, prepared, task.patch.dhw, task.num_classes, steps)
    back = [
        _positions(*sizes, steps.stretch)
        for sizes in zip(prepared.shape, shape, task.spacing[::-1], spacing, strict=True)
    ]
    thick = _thick_axis(task.spacing[::-1], spacing) if steps.cubic else None
    return np.stack([_resampled(each, back, 1, thick) for each in logits]).argmax(0)


def prepare(image: NDArray[np.float32], spacing: Sequence[float], task: Task, steps: Steps) -> NDArray[np.float32]:
    """Returns a scan resampled and normalised by the task's fixed range, as for nnU-Net's CTNormalization."""
    intensity, target = task.intensity, task.spacing[::-1]
    image = np.clip(image, *intensity.clip) if steps.clip_first else image
    shape = [round(size * old / new) for size, old, new in zip(image.shape, spacing, target, strict=True)]
    there = [_positions(*sizes, steps.stretch) for sizes in zip(image.shape, shape, spacing, target, strict=True)]
    order, thick = (3, _thick_axis(spacing, target)) if steps.cubic else (1, None)
    resampled = np.clip(_resampled(image, there, order, thick), image.min(), image.max())
    resampled = resampled if steps.clip_first else np.clip(resampled, *intensity.clip)
    return ((resampled - (intensity.subtract or 0.0)) / (intensity.divide or 1.0)).astype(np.float32)


def blended(
    network: Network, image: NDArray[np.float32], patch: DHW, num_classes: int, steps: Steps
) -> NDArray[np.float32]:
    """Returns the blended logits [C, D, H, W]."""
    plan = plan_windows(image.shape, patch, OVERLAP)  # pads with nnU-Net's rule: the odd voxel at the end
    padded = torch.from_numpy(np.ascontiguousarray(plan.pad(image, 0.0)))
    axes = [spread_starts(*sizes) for sizes in zip(plan.padded, patch, strict=True)] if steps.spread else plan.axes
    weight = torch.from_numpy(half_weight(patch) if steps.half else gaussian_weight(patch).copy())
    summed = torch.zeros((num_classes, *plan.padded), dtype=weight.dtype)
    weights = torch.zeros(plan.padded, dtype=weight.dtype)
    with torch.inference_mode():
        for start in product(*axes):
            window = tuple(slice(first, first + size) for first, size in zip(start, patch, strict=True))
            summed[(slice(None), *window)] += network(padded[window][None, None])[0] * weight
            weights[window] += weight
    logits = (summed / weights).float().numpy()
    inside = [slice(before, before + size) for before, size in zip(plan.pad_before, plan.shape, strict=True)]
    return logits[(slice(None), *inside)]


def spread_starts(size: int, patch: int) -> tuple[int, ...]:
    """Returns the first voxels of windows that are spread evenly and overlap by at least half.

    >>> spread_starts(110, 64)
    (0, 23, 46)
    """
    steps = int(np.ceil((size - patch) / (patch * (1 - OVERLAP))))
    return tuple(int(np.round((size - patch) / max(steps, 1) * number)) for number in range(steps + 1))


def half_weight(patch: DHW) -> NDArray[np.float16]:
    """Returns nnU-Net's weights [D, H, W]: a Gaussian around voxel size // 2, 10 there, in float16 and never 0."""
    z, y, x = (np.exp(-(((np.arange(size) - size // 2) / (size / 8)) ** 2) / 2) for size in patch)
    weight = (LARGEST_WEIGHT * z[:, None, None] * y[:, None] * x).astype(np.float16)
    return np.where(weight == 0, weight[weight > 0].min(), weight)


def _positions(old_size: int, new_size: int, old: float, new: float, stretch: bool) -> NDArray[np.float64]:
    """Returns where the voxels of the new grid are on the old one; both have the same centre."""
    exact = 1.0 if abs(new / old - 1) <= SAME_SPACING else new / old
    step = old_size / new_size if stretch else exact
    return (np.arange(new_size) - (new_size - 1) / 2) * step + (old_size - 1) / 2


def _thick_axis(*spacings: Sequence[float]) -> int | None:
    """Returns the axis that is resampled by itself: of the first spacing that has one, the single thickest."""
    for spacing in spacings:
        if max(spacing) / min(spacing) > THICK:
            return int(np.argmax(spacing)) if list(spacing).count(max(spacing)) == 1 else None
    return None


def _resampled(
    array: NDArray[np.float32], positions: Sequence[NDArray[np.float64]], order: int, thick: int | None
) -> NDArray[np.float64]:
    """Interpolates with splines of an order; along the axis ``thick``, the nearest slice is repeated instead."""
    array = array.astype(np.float64)
    if all(np.array_equal(at, np.arange(size)) for at, size in zip(positions, array.shape, strict=True)):
        return array
    if thick is None:
        return map_coordinates(array, np.meshgrid(*positions, indexing="ij"), order=order, mode="nearest")
    within = np.meshgrid(*(at for axis, at in enumerate(positions) if axis != thick), indexing="ij")
    slices = [map_coordinates(each, within, order=order, mode="nearest") for each in np.moveaxis(array, thick, 0)]
    nearest = nearest_index(positions[thick], len(slices))
    return np.moveaxis(np.stack(slices)[nearest], 0, thick)
