"""A scan, from a file or from memory, that yields its planes one by one with finite values only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, UsageError
from ..hooks import Cancel, stop_if
from .intensity_sample import IntensitySample
from .scan_source import ScanSource
from .volume import Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .geometry import Grid


class Scan:
    """A scan whose planes can be iterated over, any number of times.

    Args:
        source: a scan on disk, or a volume in memory.
        replace_nan: value that replaces NaN and Inf; None refuses them.
        cancel: function called before every plane; it returns true to stop.

    Attributes:
        grid: the scan's grid.
        in_memory: the volume if the scan is in memory; None for a file.
        low: smallest value of the planes read so far.
        high: largest value of the planes read so far.
        sample: evenly spread values of the planes read so far.

    Raises:
        UsageError: ``replace_nan`` is not finite, also in float32, or in float16 where the volume is.
    """

    def __init__(
        self, source: ScanSource | Volume, replace_nan: float | None = None, cancel: Cancel | None = None
    ) -> None:
        self._source = source
        half = self._dtype.type is np.float16  # in any byte order
        if replace_nan is not None and not abs(replace_nan) <= float(np.finfo(np.float16 if half else np.float32).max):
            wanted = "a finite number in float16, as the volume is" if half else "a finite number"
            raise UsageError(f"replace_nan: expected {wanted}, got {replace_nan}")
        self._replace_nan = replace_nan
        self._cancel = cancel
        self._replaced = 0
        self.in_memory = source if isinstance(source, Volume) else None
        self.grid: Grid = source.grid
        self.low, self.high = math.inf, -math.inf
        self.sample = IntensitySample(self.grid.shape)

    @property
    def itemsize(self) -> int:
        """Bytes per voxel in memory."""
        return self._dtype.itemsize

    @property
    def modality(self) -> str | None:
        """DICOM's Modality, such as ``CT``; None where it is not known."""
        return None if isinstance(self._source, Volume) else self._source.modality

    @property
    def _dtype(self) -> np.dtype[Any]:
        source = self._source
        return source.data.dtype if isinstance(source, Volume) else source.dtype

    @property
    def loading_bytes(self) -> int:
        """Bytes that `load` allocates at most; none for a volume in memory unless it may have to be copied."""
        if self.in_memory is not None and (self._replace_nan is None or self.in_memory.data.dtype.kind != "f"):
            return 0
        return math.prod(self.grid.shape) * self.itemsize

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the values read so far, such as the number of replaced voxels; one line each."""
        warnings = self._source.warnings
        if not self._replaced:
            return warnings
        return (*warnings, f"{self._replaced:,} voxels that were NaN or Inf replaced by {self._replace_nan:g}")

    def sha256(self) -> str | None:
        """Returns the SHA-256 of the scan on disk, None for a volume in memory; raises as `ScanSource.sha256`."""
        return None if isinstance(self._source, Volume) else self._source.sha256()

    def planes(self) -> Iterator[NDArray[Any]]:
        """Yields the planes [Y, X] along the third stored axis, with finite values; do not write to them.

        A file's checksum is verified after the last plane: until the iteration has ended, the file may be damaged.

        Raises:
            InputError: the file is damaged, or a value is not finite.
            Cancelled: ``cancel()`` returned true.
        """
        self.low, self.high, self._replaced = math.inf, -math.inf, 0
        self.sample = IntensitySample(self.grid.shape)
        source = self._source.data.T if isinstance(self._source, Volume) else self._source.planes()
        for number, plane in enumerate(source, start=1):
            stop_if(self._cancel)
            low, high = plane.min(), plane.max()  # NaN and Inf show in these, so a finite plane needs no mask
            if not (np.isfinite(low) and np.isfinite(high)):
                plane = self._finite(plane, number)
                low, high = plane.min(), plane.max()
            self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
            self.sample.add(plane)
            yield plane

    def load(self) -> Volume:
        """Returns the whole volume: scaled values as float32, or the stored integers if there is no scaling.

        Raises:
            InputError: as `planes`.
            ResourceError: the volume does not fit into memory.
        """
        if isinstance(self._source, Volume):
            for _ in self.planes():
                pass
            if not self._replaced:
                return self._source
        else:
            self._source.check_memory()
        planes = self.planes()
        first = next(planes)
        data = np.empty(self.grid.shape, first.dtype, order="F")
        data[:, :, 0] = first.T
        for k, plane in enumerate(planes, start=1):
            data[:, :, k] = plane.T
        return Volume(data, self.grid, self.warnings)

    def _finite(self, plane: NDArray[Any], number: int) -> NDArray[Any]:
        if self._replace_nan is None:
            name = "" if isinstance(self._source, Volume) else f'"{self._source.name}": '
            raise InputError(
                f"{name}expected finite values, got NaN or Inf in plane {number} of {self.grid.shape.z}; "
                "repair the scan, or replace them (--replace-nan V)"
            )
        bad = ~np.isfinite(plane)
        self._replaced += int(np.count_nonzero(bad))
        return np.where(bad, plane.dtype.type(self._replace_nan), plane)
