"""The window plan: the positions of the windows, their order, and the weight of each voxel in a window."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..axes import DHW
from ..errors import UsageError

PlanTriple = tuple[int, int, int]
"""Three whole numbers along the axes of a plan, outermost first: (z, y, x) unless an `AxisOrder` changes that."""

Starts = tuple[int, ...]

SIGMA_SCALE = 0.125  # standard deviation of the Gaussian, in patch lengths; MONAI's and nnU-Net's default
MOST_WINDOWS = 1_000_000  # more than a day at 0.1 s per window
SMALLEST_WEIGHT = 1e-3  # keeps the division by the summed weights stable where only a window's corner covers a voxel


@dataclass(frozen=True)
class WindowPlan:
    """The windows of one volume: every combination of a start along each axis.

    Axes are in the order of the plan, the outermost first. Here and in `blend` they are called z, y and x, and arrays
    [D, H, W], also where an `AxisOrder` puts another axis of the model outermost.

    Attributes:
        shape: size of the volume, in voxels.
        patch: size of a window.
        padded: size after padding; at least as large as the patch along each axis.
        pad_before: voxels of padding in front of the volume.
        axes: first voxels of the windows in the padded volume, increasing, along each axis.
        last_two_together: whether the last two layers along z run together, row by row.
    """

    shape: PlanTriple
    patch: PlanTriple
    padded: PlanTriple
    pad_before: PlanTriple
    axes: tuple[Starts, Starts, Starts]
    last_two_together: bool = False

    @property
    def is_padded(self) -> bool:
        """Whether the volume is smaller than the patch along some axis."""
        return self.padded != self.shape

    @property
    def starts(self) -> tuple[PlanTriple, ...]:
        """First voxel of every window, in running order."""
        return tuple(start for layers in self.layers for start in self.starts_of(layers))

    def __len__(self) -> int:
        z, y, x = self.axes
        return len(z) * len(y) * len(x)

    @property
    def layers(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the z starts, grouped into layers that run together, row by row.

        The last layer is moved back to end with the volume and so may overlap the one before by nearly a whole window.
        If they ran one after the other, nearly a window's depth of planes would wait in memory for the last one.
        """
        alone = [(layer,) for layer in range(len(self.axes[0]))]
        if not self.last_two_together or len(alone) < 2:
            return tuple(alone)
        return (*alone[:-2], (len(alone) - 2, len(alone) - 1))

    @property
    def deepest(self) -> int:
        """Largest number of planes spanned by layers that run together."""
        z = self.axes[0]
        return max(z[layers[-1]] - z[layers[0]] for layers in self.layers) + self.patch[0]

    def rows_of(self, layers: tuple[int, ...]) -> Iterator[tuple[int, int]]:
        """Yields the rows of windows in some layers as (index of the z start, of the y start), in running order."""
        for row in range(len(self.axes[1])):
            for layer in layers:
                yield layer, row

    def starts_of(self, layers: tuple[int, ...]) -> Iterator[PlanTriple]:
        """Yields the first voxel of every window in some layers, in running order."""
        z, y, x = self.axes
        for layer, row in self.rows_of(layers):
            for column in x:
                yield z[layer], y[row], column

    def pad(self, array: NDArray[np.generic], value: float) -> NDArray[np.generic]:
        """Returns ``array`` [D, H, W] padded to `padded` with ``value``; without padding, the array itself."""
        if not self.is_padded:
            return array
        widths = [
            (before, large - small - before)
            for before, small, large in zip(self.pad_before, self.shape, self.padded, strict=True)
        ]
        return np.pad(array, widths, constant_values=value)

    def window(self, start: PlanTriple) -> tuple[slice, slice, slice]:
        """Returns the index of the window that starts at ``start`` into a padded [D, H, W] array."""
        z, y, x = (slice(first, first + size) for first, size in zip(start, self.patch, strict=True))
        return z, y, x


def plan_windows(shape: PlanTriple, patch: PlanTriple, overlap: float) -> WindowPlan:
    """Places windows over a volume, at the positions of MONAI's ``sliding_window_inference``.

    Along each axis the step is ``int(patch · (1 − overlap))``, at least 1; the last window is moved back so that it
    ends with the volume. An axis shorter than the patch is padded on both sides, the odd voxel at the end.

    >>> plan_windows((100, 64, 64), (64, 64, 64), overlap=0.5).axes
    ((0, 32, 36), (0,), (0,))

    Args:
        shape: size of the volume, in voxels.
        patch: size of the network's window, in voxels, in the same order of axes.
        overlap: fraction of a window shared with the next, 0 ≤ overlap < 1.

    Raises:
        UsageError: the overlap is out of range or leads to more than 1,000,000 windows, or a size is not positive.
    """
    if not 0 <= overlap < 1:
        raise UsageError(f"overlap: expected 0 ≤ overlap < 1, got {overlap:g}")
    if min(*shape, *patch) < 1:
        raise UsageError(f"expected positive sizes, got volume {shape} and patch {patch}")
    padded = cast(PlanTriple, tuple(max(size, window) for size, window in zip(shape, patch, strict=True)))
    before = cast(PlanTriple, tuple((large - small) // 2 for large, small in zip(padded, shape, strict=True)))
    # `range` takes no memory, however many windows there are: their number is checked before the tuples are made.
    but_last = [_starts_but_last(size, window, overlap) for size, window in zip(padded, patch, strict=True)]
    count = math.prod(len(starts) + 1 for starts in but_last)
    if count > MOST_WINDOWS:
        raise UsageError(
            f"overlap: {overlap:g} asks for {count:,} windows, at most {MOST_WINDOWS:,} make sense; lower it"
        )
    z, y, x = ((*starts, starts.stop) for starts in but_last)
    return WindowPlan(shape, patch, padded, before, (z, y, x))


def _starts_but_last(size: int, patch: int, overlap: float) -> range:
    return range(0, size - patch, max(1, int(patch * (1 - overlap))))


@lru_cache(maxsize=4)
def gaussian_weight(patch: DHW) -> NDArray[np.float32]:
    """Returns the blending weight of each voxel in a window: [D, H, W] float32, read-only, cached.

    A Gaussian centred in the window, with a standard deviation of 0.125 patch lengths and a floor of 0.001: the network
    sees little context at a window's border, so the neighbouring window predicts a border voxel better.
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
