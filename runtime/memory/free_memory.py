"""Measures how much memory this process can still allocate, and refuses work that needs more."""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import ResourceError
from ..files.system_files import read_text
from .cgroup import read_limits

_UNKNOWN = 1 << 62
ADVICE = "free memory or crop the scan"


def free_memory() -> int:
    """Returns the bytes this process can still allocate.

    That is the smallest of the machine's available memory, the memory left in its control groups, and the address
    space left under ``ulimit -v``. Where none of the three is known (outside Linux), the result is 2**62.
    """
    granted = read_limits().memory_free
    return max(0, min(_machine(), _UNKNOWN if granted is None else granted, _address_space()))


def _machine() -> int:
    for line in read_text(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return _UNKNOWN


def _address_space() -> int:
    if sys.platform == "win32":
        return _UNKNOWN
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = read_text(Path("/proc/self/statm")).split()
    if limit == resource.RLIM_INFINITY or not pages:
        return _UNKNOWN
    return limit - int(pages[0]) * resource.getpagesize()


def require_memory(what: str, needed: int, advice: str = ADVICE) -> None:
    """Checks that an amount of memory is free.

    Args:
        what: what needs the memory, as the subject of the message.
        needed: bytes that it needs.
        advice: what the user can do where they are not free.

    Raises:
        ResourceError: fewer bytes are free.
    """
    free = free_memory()
    if needed > free:
        raise memory_shortage(what, needed, free, advice)


def memory_shortage(what: str, needed: int, free: int, advice: str = ADVICE) -> ResourceError:
    """Returns the error for a need of memory that is not met; arguments as in `require_memory`.

    >>> memory_shortage("the scan", 3 * 2**20, 2**20, "crop it")
    ResourceError('the scan needs about 3 MiB, 1 MiB are free; crop it')
    """
    return ResourceError(f"{what} needs about {mebibytes(needed)}, {mebibytes(free)} are free; {advice}")


def mebibytes(count: int) -> str:
    """Returns a number of bytes as text in whole MiB."""
    return f"{count / 2**20:,.0f} MiB"
