"""Measures the peak memory of this process: exactly if the kernel's high-water mark grows, else by sampling."""

from __future__ import annotations

from types import TracebackType

from ...runtime.memory.resident import peak_resident_bytes, resident_bytes
from .sampler_thread import SamplerThread


class PeakMemory:
    """Measures the peak resident memory while a ``with`` block runs.

    ``VmHWM`` covers the whole life of a process and is not reset. If it grew during the block, the peak occurred in the
    block and the figure is exact; if not, an earlier peak hides it, and the figure is the largest of regular samples.

    Example:
        >>> with PeakMemory() as memory:
        ...     megabytes = b"x" * 50_000_000
        >>> memory.above_baseline > 40_000_000
        True

    Args:
        interval: time between samples, in seconds.

    Attributes:
        baseline: resident bytes when the block began.
        peak: peak resident bytes: the largest sample so far, and final when the block ends.
        exact: whether ``peak`` is the kernel's high-water mark, not the largest sample.
    """

    def __init__(self, interval: float = 0.005) -> None:
        self._thread = SamplerThread(self._sample, interval, "bedside-peak-memory")
        self.baseline = 0
        self.peak = 0
        self.exact = False

    @property
    def above_baseline(self) -> int:
        """Peak above the baseline, in bytes."""
        return max(self.peak - self.baseline, 0)

    def __enter__(self) -> PeakMemory:
        self._high_water = peak_resident_bytes()
        self.baseline = self.peak = resident_bytes()
        self._thread.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.__exit__(kind, error, trace)
        high_water = peak_resident_bytes()
        self.exact = high_water > self._high_water
        self.peak = high_water if self.exact else max(self.peak, resident_bytes())

    def _sample(self) -> None:
        self.peak = max(self.peak, resident_bytes())
