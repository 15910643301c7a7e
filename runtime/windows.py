"""The window plan: where the network looks, and how much each voxel of a window counts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError

Triple = tuple[int, int, int]

SIGMA_SCALE = 0.125  # standard deviation of the Gaussian, in patch lengths; MONAI's and nnU-Net's default
SMALLEST_WEIGHT = 1e-3  # so that a voxel seen by a window's corner alone still divides cleanly


@dataclass(frozen=True)
class WindowPlan:
    """The windows of one volume, in the order they are to be run.

    Attributes:
        shape: (D, H, W) of the volume, in voxels.
        patch: (D, H, W) of a window.
        padded: (D, H, W) after padding; at least as large as the patch along each axis.
        pad_before: (z, y, x) voxels of padding in front of the volume.
        starts: (z, y, x) of each window's first voxel in the padded volume, sorted by z, then y, then x.
        skipped: number of windows left out because they hold no body.
    """

    shape: Triple
    patch: Triple
    padded: Triple
    pad_before: Triple
    starts: tuple[Triple, ...]
    skipped: int = 0

    @property
    def is_padded(self) -> bool:
        """Whether the volume is smaller than the patch along some axis."""
        return self.padded != self.shape

    def pad(self, array: NDArray[np.generic], value: float) -> NDArray[np.generic]:
        """Returns ``array`` [D, H, W] padded to `padded` with ``value``; the array itself where nothing is added."""
        if not self.is_padded:
            return array
        widths = [
            (before, large - small - before)
            for before, small, large in zip(self.pad_before, self.shape, self.padded, strict=True)
        ]
        return np.pad(array, widths, constant_values=value)

    def window(self, start: Triple) -> tuple[slice, slice, slice]:
        """Returns the index of the window that starts at ``start`` into a padded [D, H, W] array."""
        z, y, x = (slice(first, first + size) for first, size in zip(start, self.patch, strict=True))
        return z, y, x


def plan_windows(shape: Triple, patch: Triple, overlap: float, body: NDArray[np.bool_] | None = None) -> WindowPlan:
    """Places windows over a volume, at the positions of MONAI's ``sliding_window_inference``.

    Along each axis the step is ``int(patch · (1 − overlap))``, at least 1; the last window is moved back so that it
    ends with the volume. An axis shorter than the patch is padded on both sides, the odd voxel behind.

    Args:
        shape: (D, H, W) of the volume.
        patch: (D, H, W) of the network's window.
        overlap: fraction of a window shared with the next, 0 ≤ overlap < 1.
        body: [D, H, W], true inside the body. Windows without a true voxel are left out; None keeps all.

    Raises:
        UsageError: the overlap is out of range, a size is not positive, or ``body`` has another shape.
    """
    if not 0 <= overlap < 1:
        raise UsageError(f"overlap: expected 0 ≤ overlap < 1, got {overlap:g}")
    if min(*shape, *patch) < 1:
        raise UsageError(f"expected positive sizes, got volume {shape} and patch {patch}")
    if body is not None and body.shape != tuple(shape):
        raise UsageError(f"body mask: expected shape {tuple(shape)}, got {body.shape}")
    padded = cast(Triple, tuple(max(size, window) for size, window in zip(shape, patch, strict=True)))
    before = cast(Triple, tuple((large - small) // 2 for large, small in zip(padded, shape, strict=True)))
    everywhere = WindowPlan(shape, patch, padded, before, ())
    per_axis = (_axis_starts(size, window, overlap) for size, window in zip(padded, patch, strict=True))
    starts = [(z, y, x) for z, y, x in product(*per_axis)]
    if body is None:
        kept = starts
    else:
        padded_body = everywhere.pad(body, 0)
        kept = [start for start in starts if padded_body[everywhere.window(start)].any()]
    return WindowPlan(everywhere.shape, everywhere.patch, padded, before, tuple(kept), len(starts) - len(kept))


def _axis_starts(size: int, patch: int, overlap: float) -> list[int]:
    step = max(1, int(patch * (1 - overlap)))
    last = size - patch
    return [*range(0, last, step), last]


@lru_cache(maxsize=4)
def gaussian_weight(patch: Triple) -> NDArray[np.float32]:
    """Returns the importance of each voxel of a window, [D, H, W] float32, read-only and kept for the next call.

    A Gaussian centred in the window, 0.125 patch lengths wide, never below 0.001: the network sees little context at a
    window's border, so a border voxel is better known by the neighbouring window.
    """
    axes = [
        np.exp(-(((np.arange(size) - (size - 1) / 2) / (SIGMA_SCALE * size)) ** 2) / 2).astype(np.float32)
        for size in patch
    ]
    z, y, x = axes
    weight = z[:, None, None] * y[None, :, None] * x[None, None, :]
    np.maximum(weight, max(float(weight.min()), SMALLEST_WEIGHT), out=weight)
    weight.flags.writeable = False
    return weight
