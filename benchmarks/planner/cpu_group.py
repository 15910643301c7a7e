"""A control group that limits this process's processor time, or lets it go before other programs."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PERIOD = 100_000  # µs, the kernel's default


@dataclass(frozen=True)
class _Place:
    """Where a group is made, and how its version of control groups names the limits.

    Attributes:
        own: folder of the group that this process is in.
        parent: folder in which the new group is made.
        quota: file → text of a quota of {0} µs in every period.
        before_others: file → text of the largest weight; other programs have 1024 in version 1 and 100 in version 2.
    """

    own: Path
    parent: Path
    quota: Mapping[str, str]
    before_others: Mapping[str, str]


@contextmanager
def cpu_group(quota: float | None, *, before_others: bool = False, root: Path = Path("/")) -> Generator[None]:
    """Moves this process into a control group of its own (version 1 or 2), and back at the end.

    Args:
        quota: CPUs that the process may use, such as 0.5; None for no limit. 0.5 is 50 ms of every 100 ms.
        before_others: whether the process goes before all programs that are not in the group.
        root: root of the file system; tests pass a folder.

    Raises:
        OSError: this machine has no such control groups, or this user must not make one.
    """
    if quota is None and not before_others:
        yield
        return
    place = _version_1(root) or _version_2(root)
    if place is None:
        raise FileNotFoundError("no control groups with the controller cpu, neither of version 1 nor of version 2")
    group = place.parent / f"bedside-{os.getpid()}"
    group.mkdir()
    try:
        if quota is not None:
            for name, text in place.quota.items():
                (group / name).write_text(text.format(round(quota * _PERIOD)))
        if before_others:
            for name, text in place.before_others.items():
                (group / name).write_text(text)
        (group / "cgroup.procs").write_text(str(os.getpid()))
        yield
    finally:
        (place.own / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


def _version_1(root: Path) -> _Place | None:
    for controllers, path in _own_groups(root):
        mounts = [root / "sys/fs/cgroup" / name for name in (controllers, "cpu")]
        mount = next((each for each in mounts if (each / "cpu.cfs_quota_us").exists()), None)
        if "cpu" in controllers.split(",") and mount is not None:
            own = _existing(mount, path)
            quota = {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": "{0}"}
            return _Place(own, own, quota, {"cpu.shares": "262144"})
    return None


def _version_2(root: Path) -> _Place | None:
    """Returns the place beside this process's group: below a group with processes version 2 allows none with limits.

    Raises:
        OSError: this user must not pass the controller on to new groups.
    """
    mount = root / "sys/fs/cgroup"
    controllers = mount / "cgroup.controllers"
    if not controllers.exists() or "cpu" not in controllers.read_text().split():
        return None
    path = next((path for controllers, path in _own_groups(root) if not controllers), "/")
    own = _existing(mount, path)
    parent = mount if own == mount else own.parent
    if "cpu" not in (parent / "cgroup.subtree_control").read_text().split():
        (parent / "cgroup.subtree_control").write_text("+cpu")
    return _Place(own, parent, {"cpu.max": f"{{0}} {_PERIOD}"}, {"cpu.weight": "10000"})


def _own_groups(root: Path) -> list[tuple[str, str]]:
    """Returns (controllers, path) of each group that this process is in; version 2 names no controllers."""
    lines = (root / "proc/self/cgroup").read_text().splitlines()
    return [(controllers, path) for _, controllers, path in (line.split(":", 2) for line in lines)]


def _existing(mount: Path, path: str) -> Path:
    """Returns the folder of a group; in a container its path may be the host's, and the mount is the group."""
    own = mount / path.lstrip("/")
    return own if own.is_dir() else mount
