"""The state of the machine before and after a measurement: load, temperature, clock."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ...runtime.files.system_files import read_int, read_text
from .tegrastats import Temperature

_PLAUSIBLE = (-40.0, 150.0)  # a thermal zone without a sensor reads 0 K or a sentinel


@dataclass(frozen=True)
class Conditions:
    """State of the machine at one moment; None and empty mean "not readable".

    Attributes:
        load_average: runnable tasks of the whole machine, averaged over a minute.
        temperatures: thermal zones, in °C.
        frequency_mhz: (slowest, fastest) clock of the cores at that moment.
        mean_mhz: mean clock of the cores.
    """

    load_average: float | None
    temperatures: tuple[Temperature, ...]
    frequency_mhz: tuple[float, float] | None
    mean_mhz: float | None = None

    @property
    def hottest(self) -> float | None:
        """Temperature of the hottest zone, in °C."""
        return max((zone.celsius for zone in self.temperatures), default=None)


def read_conditions(root: Path = Path("/")) -> Conditions:
    """Reads the machine's state; fields that are not readable are None or empty.

    Args:
        root: folder to read in place of ``/``; tests pass one with recorded files.
    """
    clocks = _clocks(root)
    slowest_and_fastest, mean = ((min(clocks), max(clocks)), sum(clocks) / len(clocks)) if clocks else (None, None)
    return Conditions(_load_average(root), _temperatures(root), slowest_and_fastest, mean)


def busy_warning(load_average: float | None, logical_cores: int, threads: int | None) -> str | None:
    """Returns a warning if other processes leave fewer cores than the measurement uses.

    Args:
        load_average: load average of the machine before the measurement; None where not readable.
        logical_cores: hardware threads of the machine.
        threads: threads that the measurement will use; None for all.

    Returns:
        A sentence, or None if the machine is quiet: at most half a task more than it can run at once.
    """
    wanted = threads or logical_cores
    if load_average is None or load_average + wanted <= logical_cores + 0.5:
        return None
    return (
        f"the machine is busy: load average {load_average:.2f} on {logical_cores} cores before the measurement, "
        f"which wants {wanted}; figures will be too slow, repeat on a quiet machine"
    )


def governor_warning(root: Path = Path("/")) -> str | None:
    """Returns a warning if the frequency governor saves power; None if it does not, or is not readable.

    With the drivers ``intel_pstate`` and ``amd-pstate-epp``, the governor ``powersave`` is the ordinary one and the
    energy preference tells.

    Args:
        root: folder to read in place of ``/``; tests pass one with recorded files.
    """
    folder = root / "sys/devices/system/cpu/cpu0/cpufreq"
    governor, driver = read_text(folder / "scaling_governor"), read_text(folder / "scaling_driver")
    preference = read_text(folder / "energy_performance_preference")
    saving = governor in ("powersave", "conservative")
    if driver in ("intel_pstate", "amd-pstate-epp"):
        saving = governor == "powersave" and preference in ("power", "balance_power")
        governor = f"{governor} with the preference {preference}"
    if not saving:
        return None
    return f"the frequency governor saves power ({governor}): figures will be too slow; see docs/benchmark.md"


def _load_average(root: Path) -> float | None:
    fields = read_text(root / "proc/loadavg").split()
    if fields:
        return float(fields[0])
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):  # Windows has none
        return None


def _temperatures(root: Path) -> tuple[Temperature, ...]:
    found: list[Temperature] = []
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        millidegrees = read_int(zone / "temp")
        if millidegrees is not None and _PLAUSIBLE[0] < millidegrees / 1e3 < _PLAUSIBLE[1]:
            found.append(Temperature(read_text(zone / "type") or zone.name, millidegrees / 1e3))
    return tuple(found)


def _clocks(root: Path) -> list[float]:
    """Returns the clock of each core, in MHz."""
    folders = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq")
    readings = (read_int(folder / "scaling_cur_freq") for folder in folders)
    clocks = [kilohertz / 1e3 for kilohertz in readings if kilohertz is not None]
    if not clocks:
        lines = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", read_text(root / "proc/cpuinfo"), re.MULTILINE)
        clocks = [float(text) for text in lines]
    return clocks
