"""How much memory this process may still take."""

from __future__ import annotations

import sys
from pathlib import Path

_CONTAINER_FILES = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_UNKNOWN = 1 << 62


def free_memory() -> int:
    """Returns the bytes this process can still allocate: free memory, its container's limit and ``ulimit -v``.

    Where the system tells none of the three (outside Linux), the answer is practically unlimited.
    """
    return max(0, min(_machine(), _container(), _address_space()))


def _machine() -> int:
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return _UNKNOWN


def _container() -> int:
    for limit_file, usage_file in _CONTAINER_FILES:
        limit, usage = _text(limit_file).strip(), _text(usage_file).strip()
        if limit.isdecimal() and usage.isdecimal():
            # The page cache counts as used, yet is dropped when memory is wanted.
            return int(limit) - int(usage) + _page_cache(Path(usage_file).with_name("memory.stat"))
    return _UNKNOWN


def _page_cache(statistics: Path) -> int:
    fields = dict(line.split(maxsplit=1) for line in _text(str(statistics)).splitlines())
    return int(fields.get("inactive_file", 0))


def _address_space() -> int:
    if sys.platform == "win32":
        return _UNKNOWN
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _text("/proc/self/statm").split()
    if limit == resource.RLIM_INFINITY or not pages:
        return _UNKNOWN
    return limit - int(pages[0]) * resource.getpagesize()


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""  # absent on this system, which is an answer
