"""Imposes a device's number of cores and memory on a measured process: true to memory, not to speed."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import ResourceError, UsageError
from ...runtime.files.system_files import read_text
from ...runtime.memory.meminfo import read_meminfo
from ..hardware.device_profile import DeviceProfile

LABEL = "memory-true, speed-untrue"


@dataclass(frozen=True)
class Imposed:
    """What is imposed on every measured process.

    Attributes:
        device: key of the device's profile.
        title: its name for people.
        memory: bytes that a process may hold: the device's nominal memory, of which its system takes a part.
        cores: cores that a process may use here.
        device_cores: the device's cores; None where its profile has no figure, and all cores are used.
        method: how memory is limited: ``cgroup`` or ``rlimit``.
        groups: folder in which each process makes its control group; None with ``rlimit``.
        label: `LABEL`.
    """

    device: str
    title: str
    memory: int
    cores: int
    device_cores: int | None
    method: str
    groups: str | None = None
    label: str = LABEL

    @property
    def described(self) -> str:
        """What is imposed, in a line for people."""
        wanted = "" if self.device_cores in (None, self.cores) else f" in place of its {self.device_cores}"
        return (
            f"{self.label}: as {self.title}, {self.memory / 1e9:g} GB by {self.method}, on {self.cores} cores of this "
            f"machine{wanted}; times are this machine's, not the device's"
        )

    def impose(self) -> None:
        """Limits this process and its threads; called before an engine is loaded.

        Raises:
            ResourceError: the limit could not be set.
        """
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: self.cores])
        if self.groups is not None:
            _join_group(Path(self.groups), self.memory)
            return
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = self.memory if hard == resource.RLIM_INFINITY else min(self.memory, hard)
        # Heap and anonymous memory, also what is not touched yet; RLIMIT_AS would count mapped files and reservations.
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


@contextmanager
def imposing(profile: DeviceProfile, root: Path = Path("/")) -> Generator[Imposed]:
    """Yields what is imposed for a device, and removes the control groups at the end.

    A control group is used where version 2 lets this user make one, else the limit of the process (rlimit).

    Args:
        profile: the device.
        root: folder to read in place of ``/``; tests pass one with recorded files.

    Raises:
        UsageError: the profile has no figure for memory, or this system cannot impose limits.
        ResourceError: this machine has less memory than the device.
    """
    if sys.platform != "linux":
        raise UsageError("cores and memory of a device can be imposed on Linux only; leave --as out")
    if profile.memory_gb is None:
        raise UsageError(f'the profile "{profile.key}" has no figure for memory, which would be imposed')
    memory = int(profile.memory_gb.value * 1e9)
    total = read_meminfo(root).total
    if total is not None and total < memory:
        raise ResourceError(
            f"{profile.title} has {memory / 1e9:g} GB and this machine {total / 1e9:.1f}: a limit would not bind here"
        )
    here = len(os.sched_getaffinity(0))
    wanted = None if profile.cores is None else int(profile.cores.value)
    groups = _group_folder(root)
    imposed = Imposed(
        device=profile.key,
        title=profile.title,
        memory=memory,
        cores=here if wanted is None else min(wanted, here),
        device_cores=wanted,
        method="rlimit" if groups is None else "cgroup",
        groups=None if groups is None else str(groups),
    )
    try:
        yield imposed
    finally:
        for group in () if groups is None else groups.glob(f"{_prefix(os.getpid())}*"):
            with suppress(OSError):  # a process in it that is still ending: systemd removes it with the session
                group.rmdir()


def _group_folder(root: Path) -> Path | None:
    """Returns the folder of version 2 in which this user can make groups with a memory limit; None without one.

    That is this process's own group or, as a group with processes passes no controllers on, its parent group.
    """
    mount = root / "sys/fs/cgroup"
    lines = read_text(root / "proc/self/cgroup").splitlines()
    path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if path is None or "memory" not in read_text(mount / "cgroup.controllers").split():
        return None
    own = mount / path.lstrip("/")
    for folder in (own, own.parent) if own != mount else (own,):
        passes_on = "memory" in read_text(folder / "cgroup.subtree_control").split()
        if passes_on and os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK):
            return folder
    return None


def _prefix(process: int) -> str:
    return f"bedside-benchmark-{process}-"


def _join_group(folder: Path, memory: int) -> None:
    """Makes a control group with a memory limit, and moves this process into it.

    Raises:
        ResourceError: the kernel refused.
    """
    group = folder / f"{_prefix(os.getppid())}{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.max").write_text(str(memory), encoding="ascii")
        swap = group / "memory.swap.max"
        if swap.exists():  # absent where the kernel counts no swap
            swap.write_text("0", encoding="ascii")
        (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    except OSError as error:
        raise ResourceError(f"the memory limit could not be set by a control group ({error.strerror})") from None
