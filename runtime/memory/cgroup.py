"""Reads the CPU quota and memory limit of this process's control groups (v1 and v2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..files.system_files import is_folder, read_int, read_text, whole_number

_UNLIMITED = 1 << 60  # v1 writes "no limit" as the largest multiple of a page; no machine has an exbibyte


@dataclass(frozen=True)
class Limits:
    """The limits of the control groups; None where they set none.

    Attributes:
        cpus: CPU time per wall-clock time, in CPUs (1.5 = one and a half cores).
        memory: bytes this process and its group may use.
        memory_free: bytes of ``memory`` not in use, with the page cache that can be dropped counted as free.
    """

    cpus: float | None = None
    memory: int | None = None
    memory_free: int | None = None


def read_limits(root: Path = Path("/")) -> Limits:
    """Reads the tightest limits of this process's control group and its parent groups.

    Args:
        root: root of the file system; tests pass a folder of recorded files.
    """
    cpus: list[float] = []
    memory: list[tuple[int, int]] = []
    for folder in _folders(root, "cpu"):
        both = [whole_number(text) for text in read_text(folder / "cpu.max").split()]
        both = both if len(both) == 2 else [read_int(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
        quota, period = both
        if quota is not None and period is not None and min(quota, period) > 0:
            cpus.append(quota / period)
    for folder in _folders(root, "memory"):
        for limit_file, used_file in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit = read_int(folder / limit_file)
            if limit is not None and limit < _UNLIMITED:
                used = (read_int(folder / used_file) or 0) - _droppable(folder)
                memory.append((limit, max(limit - max(used, 0), 0)))
    return Limits(
        cpus=min(cpus, default=None),
        memory=min((limit for limit, _ in memory), default=None),
        memory_free=min((free for _, free in memory), default=None),
    )


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """Yields the group's folder and its parents, for v2 and for the v1 controller."""
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / controllers
        if controllers and not is_folder(mount):
            mount = root / "sys/fs/cgroup" / controller
        folder = mount / path.lstrip("/")
        # In a container the path may be the host's and not exist here; the mount itself is then this process's group.
        folder = folder if is_folder(folder) else mount
        while folder != mount:
            yield folder
            folder = folder.parent
        yield mount


def _droppable(folder: Path) -> int:
    lines = (line.split() for line in read_text(folder / "memory.stat").splitlines())
    fields = {line[0]: whole_number(line[1]) for line in lines if len(line) == 2}
    return fields.get("total_inactive_file", fields.get("inactive_file")) or 0
