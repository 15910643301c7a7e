"""Measures energy while a block runs: RAPL, NVML, or tegrastats on a Jetson; never with sudo."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ..runtime.files.system_files import read_int, read_text
from .nvml import Nvml
from .tegrastats import TegraSampler


@dataclass(frozen=True)
class Energy:
    """Energy of the whole package or module, its idle share included.

    Attributes:
        joules: energy in J; None where not readable.
        seconds: duration of the measurement.
        source: ``RAPL``, ``tegrastats``, ``RAPL + NVML``, or the reason why there is no figure.
    """

    joules: float | None
    seconds: float
    source: str

    @property
    def watts(self) -> float | None:
        """Mean power in W; None where energy is not readable."""
        return None if self.joules is None or self.seconds <= 0 else self.joules / self.seconds


class RaplCounters:
    """The energy counters of the CPU packages under ``/sys/class/powercap``.

    Args:
        root: folder to read in place of ``/``; tests pass one with recorded files.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        zones = sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
        # Sub-zones (intel-rapl:0:0) are parts of a package; psys overlaps with it.
        self._packages = [zone for zone in zones if read_text(zone / "name").startswith("package")]
        self._start = self._read()

    @property
    def reason(self) -> str:
        """Why there is no figure; empty if there is one."""
        if not self._packages:
            return "not readable: this machine shows no RAPL package"
        if self._start is None:
            return "not readable: the kernel keeps RAPL counters for root"
        return ""

    def joules(self) -> float | None:
        """Returns the energy since construction in J, over all packages; None where not readable."""
        now = self._read()
        if self._start is None or now is None:
            return None
        total = 0
        for zone, before, after in zip(self._packages, self._start, now, strict=True):
            wrapped = after < before
            total += after - before + ((read_int(zone / "max_energy_range_uj") or 0) if wrapped else 0)
        return total / 1e6

    def _read(self) -> list[int] | None:
        values = [read_int(zone / "energy_uj") for zone in self._packages]
        known = [value for value in values if value is not None]
        return known if known and len(known) == len(values) else None


class EnergyMeter:
    """Measures the energy of a ``with`` block; `reading` is set when the block ends.

    Args:
        root: folder to read in place of ``/``; tests pass one with recorded files.
        graphics: whether an NVIDIA graphics card takes part; its energy is then added to that of the processor.
    """

    def __init__(self, root: Path = Path("/"), *, graphics: bool = False) -> None:
        self._root = root
        self._graphics = graphics
        self.reading = Energy(None, 0.0, "not measured")

    def __enter__(self) -> EnergyMeter:
        self._tegra = TegraSampler()
        self._tegra.__enter__()
        self._nvml = Nvml()
        if self._graphics:
            self._nvml.__enter__()
        self._card_start = self._nvml.joules()
        self._rapl = RaplCounters(self._root)
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._start
        joules, card = self._rapl.joules(), self._nvml.joules()
        self._nvml.__exit__(kind, error, trace)
        self._tegra.__exit__(kind, error, trace)
        watts = self._tegra.mean_watts
        if watts is not None:
            self.reading = Energy(watts * seconds, seconds, "tegrastats")
        elif card is not None and self._card_start is not None:
            source = "NVML, the graphics card alone" if joules is None else "RAPL + NVML"
            self.reading = Energy((joules or 0.0) + card - self._card_start, seconds, source)
        elif joules is not None and not self._graphics:
            self.reading = Energy(joules, seconds, "RAPL")
        elif self._graphics:
            self.reading = Energy(None, seconds, self._nvml.reason or "not readable: the card has no energy counter")
        else:
            self.reading = Energy(None, seconds, self._rapl.reason)
