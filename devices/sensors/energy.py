"""Measures energy while a block runs: RAPL, NVML, or tegrastats on a Jetson; never with sudo."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ...runtime.files.system_files import read_int, read_text
from .nvml import Nvml
from .sampler_thread import SamplerThread
from .tegrastats import TegraSampler

_RAPL_INTERVAL = 5.0  # seconds; the shortest range known, 65.5 kJ, lasts more than two minutes at 500 W


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

    A counter starts again from 0 after its range, which a processor takes up within minutes. `joules` allows for one
    such start since its last call, so that a longer measurement has to call it every few seconds.

    Args:
        root: folder to read in place of ``/``; tests pass one with recorded files.

    Attributes:
        reason: why there is no figure; empty if there is one.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        zones = sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
        # Sub-zones (intel-rapl:0:0) are parts of a package; psys overlaps with it.
        self._packages = [zone for zone in zones if read_text(zone / "name").startswith("package")]
        self._microjoules = 0
        self._last = self._read() or []
        self.reason = ""
        if not self._packages:
            self.reason = "not readable: this machine shows no RAPL package"
        elif not self._last:
            self.reason = "not readable: the kernel keeps RAPL counters for root"

    def joules(self) -> float | None:
        """Reads the counters; returns the energy since construction in J, over all packages, or None with a `reason`.

        There is no figure either once a counter cannot be read any more, or goes down and its range does not say why.
        """
        if self.reason:
            return None
        now = self._read()
        if now is None:
            self.reason = "not readable: a RAPL counter could not be read any more"
            return None
        for zone, before, after in zip(self._packages, self._last, now, strict=True):
            spent = after - before
            if spent < 0:
                spent += read_int(zone / "max_energy_range_uj") or 0
            if spent < 0:
                self.reason = "not readable: a RAPL counter went down, and the kernel does not tell its range"
                return None
            self._microjoules += spent
        self._last = now
        return self._microjoules / 1e6

    def _read(self) -> list[int] | None:
        values = [read_int(zone / "energy_uj") for zone in self._packages]
        known = [value for value in values if value is not None]
        return known if known and len(known) == len(values) else None


class EnergyMeter:
    """Measures the energy of a ``with`` block; `reading` is set when the block ends.

    Args:
        root: folder to read in place of ``/``; tests pass one with recorded files.
        graphics: whether an NVIDIA graphics card takes part; its energy is then added to that of the processor.
        interval: time between readings of the processor's counters in seconds, shorter than they take to start again.
    """

    def __init__(self, root: Path = Path("/"), *, graphics: bool = False, interval: float = _RAPL_INTERVAL) -> None:
        self._root = root
        self._graphics = graphics
        self._interval = interval
        self.reading = Energy(None, 0.0, "not measured")

    def __enter__(self) -> EnergyMeter:
        with ExitStack() as opened:
            self._tegra = opened.enter_context(TegraSampler())
            self._nvml = Nvml()
            if self._graphics:
                opened.enter_context(self._nvml)
            self._card_start = self._nvml.joules()
            self._rapl = RaplCounters(self._root)
            self._counted = not self._rapl.reason
            self._start = time.perf_counter()
            self._thread = SamplerThread(self._rapl.joules, self._interval, "bedside-energy").__enter__()
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._opened:  # closes card and tegrastats, also where the counters' reader has failed
            self._thread.__exit__(kind, error, trace)
            seconds = time.perf_counter() - self._start
            joules, card = self._rapl.joules(), self._nvml.joules()
        watts = self._tegra.mean_watts
        if watts is not None:
            self.reading = Energy(watts * seconds, seconds, "tegrastats")
        elif self._counted and joules is None:  # the card alone would look like less energy
            self.reading = Energy(None, seconds, self._rapl.reason)
        elif card is not None and self._card_start is not None:
            source = "NVML, the graphics card alone" if joules is None else "RAPL + NVML"
            self.reading = Energy((joules or 0.0) + card - self._card_start, seconds, source)
        elif joules is not None and not self._graphics:
            self.reading = Energy(joules, seconds, "RAPL")
        elif self._graphics:
            self.reading = Energy(None, seconds, self._nvml.reason or "not readable: the card has no energy counter")
        else:
            self.reading = Energy(None, seconds, self._rapl.reason)
