"""Devices: describes this machine, lists known devices, and measures how fast a bundle runs here.

Floor 2: imports runtime and processes, never torch. `profiles` and `benchmark` are functions that share their name
with their file; this package imports them at once, because with a lazy import the name would refer to the module
instead. Importing is light: the calls that need NumPy and the engines import them.
"""

from __future__ import annotations

from .benchmark import benchmark
from .host import Host, detect
from .profiles import DeviceProfile, profiles
from .report import BenchmarkReport

__all__ = ["BenchmarkReport", "DeviceProfile", "Host", "benchmark", "detect", "profiles"]
