"""Devices: what machine this is, what is known about others, and how fast a bundle runs here.

Floor 1: imports the runtime only, never torch. `profiles` and `benchmark` are functions that share their name with
the file they live in; they are bound here at once, because a name bound on first use would be lost to the module of
the same name. The files are light: NumPy and the engines are imported by the calls that need them.
"""

from __future__ import annotations

from .benchmark import benchmark
from .host import Host, detect
from .profiles import DeviceProfile, profiles
from .report import BenchmarkReport

__all__ = ["BenchmarkReport", "DeviceProfile", "Host", "benchmark", "detect", "profiles"]
