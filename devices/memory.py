"""Peak memory of this process: exact where the kernel's high-water mark tells it, sampled where it does not."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import TracebackType

from .files import read_text

_STATUS = Path("/proc/self/status")


def current_rss() -> int:
    """Returns the resident memory of this process in bytes (on systems without /proc: its peak)."""
    return _status_bytes("VmRSS")


def peak_rss() -> int:
    """Returns the largest resident memory this process has had since it started, in bytes; 0 where not readable."""
    return _status_bytes("VmHWM")


class PeakMemory:
    """Measures the peak resident memory while a block runs.

    ``VmHWM`` covers the whole life of a process and is not reset. If it grew during the block, the peak lies in the
    block and the figure is exact; if not, an earlier peak hides it, and the largest of regular samples stands in.

    Example:
        >>> with PeakMemory() as memory:
        ...     work()
        >>> memory.above_baseline  # bytes
    """

    def __init__(self, interval: float = 0.005) -> None:
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="bedside-peak-memory", daemon=True)
        self._sampled = 0
        self.baseline = 0
        self.peak = 0
        self.exact = False

    @property
    def above_baseline(self) -> int:
        """Bytes of the peak above what was resident when the block began."""
        return max(self.peak - self.baseline, 0)

    def __enter__(self) -> PeakMemory:
        self._high_water = peak_rss()
        self.baseline = self._sampled = current_rss()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        high_water = peak_rss()
        self.exact = high_water > self._high_water
        self.peak = high_water if self.exact else max(self._sampled, current_rss())

    def _sample(self) -> None:
        while not self._stop.wait(self._interval):
            self._sampled = max(self._sampled, current_rss())


def _status_bytes(field: str) -> int:
    for line in read_text(_STATUS).splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return _resource_bytes()


def _resource_bytes() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, the others KiB
