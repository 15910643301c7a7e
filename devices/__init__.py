"""Devices: describes this machine, lists known devices, predicts and measures how fast a bundle runs on them.

Floor 2: imports runtime and processes, never torch. The files here are what a caller asks for; they stand above the
folders, which do not import them. `benchmark` and `plan` are functions that share their name with their file; this
package imports them at once, because with a lazy import the name would refer to the module instead. Importing is light:
the calls that need NumPy and the engines import them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_names import lazy_names
from .benchmark import benchmark
from .hardware.device_profile import DeviceProfile, load_profile, profiles
from .hardware.host import Host, detect
from .measurement.report import BenchmarkReport
from .plan import plan

if TYPE_CHECKING:
    from .planner.report import PlanReport

__all__ = [
    "BenchmarkReport",
    "DeviceProfile",
    "Host",
    "PlanReport",
    "benchmark",
    "detect",
    "load_profile",
    "plan",
    "profiles",
]

_HOME = {"PlanReport": "planner.report"}


__getattr__ = lazy_names(globals(), _HOME)
