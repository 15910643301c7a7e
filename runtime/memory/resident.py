"""Measures the resident memory of this process and of its helpers, now and at its peak."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_STATISTICS, _STATUS = Path("/proc/self/statm"), Path("/proc/self/status")

_helpers: dict[int, int] = {}  # process id → bytes it held when counting began


@contextmanager
def counting_helper(process: int) -> Generator[None]:
    """Counts the memory of a child process, which holds it for scans of this one, for the ``with`` block.

    `resident_bytes` counts what it holds; once it has ended, `owed_bytes` what it held at the start of the block.

    Args:
        process: its process id; it is ready for its first scan, so that what will replace it needs as much.
    """
    _helpers[process] = _resident_of(process)
    try:
        yield
    finally:
        _helpers.pop(process, None)


def resident_bytes() -> int:
    """Returns the physical memory this process and its helpers hold now, in bytes; outside Linux, its peak so far."""
    if not _STATISTICS.exists():
        return peak_resident_bytes()
    return _resident(_STATISTICS) + sum(map(_resident_of, tuple(_helpers)))


def owed_bytes() -> int:
    """Returns the memory that helpers in place of those that ended will hold before their first scan, in bytes."""
    return sum(held for process, held in tuple(_helpers.items()) if not _resident_of(process))


def _resident_of(process: int) -> int:
    return _resident(Path(f"/proc/{process}/statm"))


def _resident(statistics: Path) -> int:
    """Returns what the kernel's statistics of a process say; 0 once it has ended."""
    try:
        pages = int(statistics.read_text(encoding="ascii").split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    import resource

    return pages * resource.getpagesize()


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
