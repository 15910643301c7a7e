"""Devices: describes this machine, lists known devices, predicts and measures how fast a bundle runs on them.

Floor 2: imports runtime and processes, never torch. `benchmark` and `plan` are functions that share their name with
their file, `profiles` one that shares it with the folder of profiles; this package imports them at once, because with a
lazy import the name would refer to the module instead. Importing is light: the calls that need NumPy and the engines
import them.
"""

from __future__ import annotations

from .benchmark import benchmark
from .device_profile import DeviceProfile, load_profile, profiles
from .host import Host, detect
from .plan import plan
from .report import BenchmarkReport

__all__ = [
    "BenchmarkReport",
    "DeviceProfile",
    "Host",
    "benchmark",
    "detect",
    "load_profile",
    "plan",
    "profiles",
]
