"""Measures this process's resident memory, now and at its peak."""

from __future__ import annotations

import sys
from pathlib import Path

_STATISTICS, _STATUS = Path("/proc/self/statm"), Path("/proc/self/status")


def resident_bytes() -> int:
    """Returns the physical memory this process holds now, in bytes; outside Linux, its peak so far."""
    if not _STATISTICS.exists():
        return peak_resident_bytes()
    import resource

    return int(_STATISTICS.read_text(encoding="ascii").split()[1]) * resource.getpagesize()


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
