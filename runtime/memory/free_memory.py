"""Measures how much memory this process can still allocate."""

from __future__ import annotations

import sys
from pathlib import Path

from ..files.system_files import read_text
from .cgroup import read_limits
from .meminfo import read_meminfo

_UNKNOWN = 1 << 62


def free_memory() -> int:
    """Returns the bytes this process can still allocate.

    That is the smallest of the machine's available memory, the memory left in its control groups, the address space
    left under ``ulimit -v`` and the data left under ``ulimit -d``. Where none of them is known (outside Linux), the
    result is 2**62.
    """
    granted = read_limits().memory_free
    known = [amount for amount in (read_meminfo().available, granted) if amount is not None]
    return max(0, min(*known, _address_space(), _data()))


def _address_space() -> int:
    if sys.platform == "win32":
        return _UNKNOWN
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = read_text(Path("/proc/self/statm")).split()
    if limit == resource.RLIM_INFINITY or not pages:
        return _UNKNOWN
    return limit - int(pages[0]) * resource.getpagesize()


def _data() -> int:
    if sys.platform == "win32":
        return _UNKNOWN
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    used = [line for line in read_text(Path("/proc/self/status")).splitlines() if line.startswith("VmData:")]
    return limit - int(used[0].split()[1]) * 1024 if used and limit != resource.RLIM_INFINITY else _UNKNOWN
