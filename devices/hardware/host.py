"""Describes this machine: processor, memory, limits, Jetson module."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from ...runtime import arguments
from ...runtime.files.system_files import read_text
from ...runtime.memory.cgroup import Limits, read_limits
from ...runtime.memory.meminfo import read_meminfo
from .cpu import Cpu, read_cpu
from .device_profile import match_profile
from .jetson import Jetson, read_jetson


@dataclass(frozen=True)
class Host:
    """A machine, as far as it can be read without privileges. Memory is in bytes.

    Attributes:
        system: operating system, release and kernel, for people.
        cpu: the processor.
        usable_cores: hardware threads this process may use at once (affinity and control-group quota, rounded up).
        memory_total: memory of the machine; 0 where not readable.
        memory_available: memory that this process can still allocate: the kernel's estimate, or the rest of the
            control group's limit if that is less; None where not readable.
        limits: the control groups' limits.
        governor: frequency governor of the first core; empty where not readable.
        jetson: the Jetson module, if it is one.
        profile: key of the matching profile, if there is one.
    """

    system: str
    cpu: Cpu
    usable_cores: int
    memory_total: int
    memory_available: int | None
    limits: Limits
    governor: str
    jetson: Jetson | None
    profile: str | None


def detect(root: str | os.PathLike[str] = Path("/")) -> Host:
    """Describes this machine; needs no privileges, and does not fail if a file is missing.

    Args:
        root: folder to read in place of ``/``; tests pass one with recorded files.

    Raises:
        UsageError: ``root`` is no path.
    """
    root = arguments.path("root", root)
    cpu, limits, jetson = read_cpu(root), read_limits(root), read_jetson(root)
    total, available = _read_memory(root)
    left = [amount for amount in (available, limits.memory_free) if amount is not None]
    board = read_text(root / "proc/device-tree/model")
    profile = match_profile(board or cpu.model, total, jetson is not None and jetson.is_super)
    return Host(
        system=_system(root),
        cpu=cpu,
        usable_cores=_usable_cores(cpu, limits),
        memory_total=total,
        memory_available=min(left, default=None),
        limits=limits,
        governor=read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        jetson=jetson,
        profile=profile.key if profile else None,
    )


def _usable_cores(cpu: Cpu, limits: Limits) -> int:
    # sched_getaffinity is Linux only.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cpu.logical_cores
    quota = -(-limits.cpus // 1) if limits.cpus else allowed
    return max(1, int(min(allowed, quota, cpu.logical_cores)))


def _read_memory(root: Path) -> tuple[int, int | None]:
    """Returns (total, available) in bytes."""
    memory = read_meminfo(root)
    if memory.total is not None:
        return memory.total, memory.available
    names: dict[str, int] = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" in names:  # macOS
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    return 0, None


def _system(root: Path) -> str:
    lines = (line.partition("=") for line in read_text(root / "etc/os-release").splitlines())
    name = {key: value.strip('"') for key, _, value in lines}.get("PRETTY_NAME", "")
    kernel = f"{platform.system()} {platform.release()}"
    return f"{name} ({kernel})" if name else kernel
