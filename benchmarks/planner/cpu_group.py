"""A control group that limits this process's processor time, or lets it go before other programs."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_PERIOD = 100_000  # µs, the kernel's default
_SHARES = 262_144  # the most; other programs have 1024


@contextmanager
def cpu_group(quota: float | None, *, before_others: bool = False, root: Path = Path("/")) -> Generator[None]:
    """Moves this process into a control group of its own (version 1), and back at the end.

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
    parent = _own_group(root)
    group = parent / f"bedside-{os.getpid()}"
    group.mkdir()
    try:
        if quota is not None:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(round(quota * _PERIOD)))
        if before_others:
            (group / "cpu.shares").write_text(str(_SHARES))
        (group / "cgroup.procs").write_text(str(os.getpid()))
        yield
    finally:
        (parent / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


def _own_group(root: Path) -> Path:
    """Returns the folder of the group that this process is in."""
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        mounts = [root / "sys/fs/cgroup" / name for name in (controllers, "cpu")]
        mount = next((each for each in mounts if (each / "cpu.cfs_quota_us").exists()), None)
        if "cpu" in controllers.split(",") and mount is not None:
            own = mount / path.lstrip("/")
            return own if own.is_dir() else mount  # in a container the path may be the host's
    raise FileNotFoundError("no control groups of version 1 with the controller cpu")
