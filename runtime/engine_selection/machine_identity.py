"""The identity of a machine, as far as the time of a model depends on it."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

from ... import __version__
from ..engines import CPU, engine_entries, inference_devices, package_version

_CPU_LINES = ("model name", "flags", "Features", "CPU implementer", "CPU part", "CPU variant")


def machine_facts(threads: int) -> tuple[str, ...]:
    """Returns all that the time of a model depends on: bedside, the engines, the kind of CPU, and its threads."""
    packages = [f"{entry.package} {package_version(entry.package)}" for _, entry in engine_entries()]
    return (__version__, *packages, cpu_identity(), f"{threads} threads")


def machine_identity(threads: int) -> str:
    """Returns the SHA-256 of `machine_facts`: where it is another, a time says nothing."""
    return hashlib.sha256("\n".join(machine_facts(threads)).encode()).hexdigest()


def device_identity(engine: str, device: str) -> str:
    """Returns what a time depends on of the device that an engine runs on: name, title and driver.

    ``"CPU"`` for the CPU, whose kind `machine_facts` have.

    Args:
        engine: name of a row in `ENGINES`.
        device: name of one of its `inference_devices`, or ``"auto"``.
    """
    if device == CPU:
        return CPU
    found = (each for each in inference_devices(engine) if each.name == device)
    return next((f"{device}, {each.title}, {each.software}" for each in found), device)


def cpu_identity() -> str:
    """Returns a text that identifies the kind of CPU: model and instruction sets, as far as the system reports them."""
    try:
        first, _, _ = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return "\n".join([platform.machine(), *(line for line in first.splitlines() if line.startswith(_CPU_LINES))])
