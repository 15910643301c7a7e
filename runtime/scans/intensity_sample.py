"""An evenly spread sample of a scan's values, collected plane by plane."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MOST_VALUES = 200_000  # a share of 1 % is then known to within 0.1 %, and sorting them takes some milliseconds


class IntensitySample:
    """The values of every n-th voxel along each axis.

    It keeps at most `MOST_VALUES` values, whatever the scan's size. A file that is read plane by plane and the same
    scan in memory give the same sample, so warnings based on it are the same.

    Args:
        shape: number of voxels along the stored axes x, y, z.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._step = _step(shape)
        self._planes_seen = 0
        self._values: list[NDArray[np.float32]] = []

    @staticmethod
    def of(data: NDArray[Any]) -> IntensitySample:
        """Returns the sample of a scan [X, Y, Z] in memory."""
        sample = IntensitySample(data.shape)
        for plane in data.T:
            sample.add(plane)
        return sample

    def add(self, plane: NDArray[Any]) -> None:
        """Adds the next plane [Y, X] along the third stored axis; its values must be finite."""
        if self._planes_seen % self._step == 0:
            with np.errstate(over="ignore"):  # values beyond float32 are refused by their range
                self._values.append(plane[:: self._step, :: self._step].astype(np.float32).ravel())
        self._planes_seen += 1

    @property
    def values(self) -> NDArray[np.float32]:
        """[n] float32, the values sampled so far."""
        return np.concatenate([np.empty(0, np.float32), *self._values])


def _step(shape: Sequence[int]) -> int:
    step = max(1, math.floor((math.prod(shape) / MOST_VALUES) ** (1 / 3)))
    while math.prod(math.ceil(size / step) for size in shape) > MOST_VALUES:
        step += 1
    return step
