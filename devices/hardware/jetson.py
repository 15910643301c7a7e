"""Reads which NVIDIA Jetson module this is, its software release and power mode, all without sudo."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ...runtime.files.system_files import read_text


@dataclass(frozen=True)
class Jetson:
    """A Jetson module.

    Attributes:
        model: the device tree's name, e.g. ``NVIDIA Jetson AGX Orin Developer Kit``.
        l4t: Linux for Tegra release, e.g. ``36.4.3``; empty where not readable.
        power_mode: name of the ``nvpmodel`` mode, e.g. ``MAXN`` or ``15W`` (the ids differ by module, the names say
            what they mean); empty where not readable.
    """

    model: str
    l4t: str = ""
    power_mode: str = ""

    @property
    def is_super(self) -> bool:
        """Whether the module runs with the raised clocks NVIDIA calls "Super"."""
        return "super" in f"{self.model} {self.power_mode}".lower()


def read_jetson(root: Path = Path("/")) -> Jetson | None:
    """Reads which Jetson this is; returns None on any other machine.

    Args:
        root: folder to read in place of ``/``; tests pass one with recorded files.
    """
    model = read_text(root / "proc/device-tree/model")
    if "jetson" not in model.lower():
        return None
    return Jetson(model, parse_l4t(read_text(root / "etc/nv_tegra_release")), parse_power_mode(_query_power_mode()))


def parse_l4t(text: str) -> str:
    """Returns the release in ``/etc/nv_tegra_release``: ``# R36 (release), REVISION: 4.3, …`` → ``36.4.3``."""
    found = re.search(r"# R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{found[1]}.{found[2]}" if found else ""


def parse_power_mode(text: str) -> str:
    """Returns the mode's name in the output of ``nvpmodel -q``: ``NV Power Mode: MAXN`` → ``MAXN``."""
    found = re.search(r"NV Power Mode:\s*(?:MODE_)?(\S+)", text)
    return found[1] if found else ""


def _query_power_mode() -> str:
    program = shutil.which("nvpmodel")
    if program is None:
        return ""
    try:
        return subprocess.run([program, "-q"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):  # the mode is informative; its absence must not fail a report
        return ""
