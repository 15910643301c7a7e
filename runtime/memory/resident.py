"""Measures the resident memory of this process and of its helpers, now and at its peak."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_STATISTICS, _STATUS = Path("/proc/self/statm"), Path("/proc/self/status")


_helpers: set[int] = set()


@contextmanager
def counting_helper(process: int) -> Generator[None]:
    """Lets `resident_bytes` count a child process too, for the ``with`` block: it holds memory for scans of this one.

    Args:
        process: its process id.
    """
    _helpers.add(process)
    try:
        yield
    finally:
        _helpers.discard(process)


def resident_bytes() -> int:
    """Returns the physical memory this process and its helpers hold now, in bytes; outside Linux, its peak so far."""
    if not _STATISTICS.exists():
        return peak_resident_bytes()
    return _resident(_STATISTICS) + sum(_resident(Path(f"/proc/{process}/statm")) for process in tuple(_helpers))


def _resident(statistics: Path) -> int:
    """Returns what the kernel's statistics of a process say; 0 once it has ended."""
    import resource

    try:
        return int(statistics.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except (FileNotFoundError, ProcessLookupError):
        return 0


def peak_resident_bytes() -> int:
    """Returns the most physical memory this process has held since it started, in bytes; 0 on Windows.

    On Linux it reads ``VmHWM``, because the peak of `getrusage` may be the parent's, from before this program started.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS returns bytes, other systems KiB
