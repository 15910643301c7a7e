"""Telemetry: clocks, temperatures, power, memory and throttling, sampled while something else runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ...runtime.memory.meminfo import read_meminfo
from ..sensors.conditions import read_conditions
from ..sensors.energy import RaplCounters
from ..sensors.nvml import Nvml
from ..sensors.sampler_thread import SamplerThread
from ..sensors.tegrastats import TegraSampler
from ..sensors.throttling import ThrottleState, read_throttling

MOST_SAMPLES = 600  # of a run: a longer one is sampled less often


@dataclass(frozen=True)
class Sensor:
    """A quantity, and where it is read from, or why it is not."""

    quantity: str
    source: str


@dataclass(frozen=True)
class TelemetrySample:
    """The machine at one moment; None where no sensor could be read.

    Attributes:
        seconds: time since the sampling began.
        clock_mhz: mean clock of the cores.
        gpu_mhz: clock of the graphics processor.
        celsius: temperature of the hottest sensor.
        watts: power of the whole package or module since the sample before.
        memory_used: bytes of the machine's memory in use, by all processes.
        gpu_memory_used: bytes of a graphics card's memory in use.
        throttled: reasons for less speed that hold at this moment.
    """

    seconds: float
    clock_mhz: float | None
    gpu_mhz: float | None
    celsius: float | None
    watts: float | None
    memory_used: int | None
    gpu_memory_used: int | None
    throttled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Telemetry:
    """Samples of a run.

    Attributes:
        interval_s: time between samples.
        sensors: every quantity with its source, or with the reason why it is missing.
        samples: the samples.
        throttling: what was throttled during the run, and how often where a counter says so.
    """

    interval_s: float
    sensors: tuple[Sensor, ...]
    samples: tuple[TelemetrySample, ...]
    throttling: tuple[str, ...]

    def mean(self, value: Callable[[TelemetrySample], float | None], start: float, end: float) -> float | None:
        """Returns the mean of a quantity over the samples from ``start`` to ``end`` seconds; None without one."""
        values = [value(sample) for sample in self.samples if start <= sample.seconds <= end]
        known = [each for each in values if each is not None]
        return sum(known) / len(known) if known else None

    @property
    def memory_peak(self) -> int | None:
        """Most memory of the machine in use at a sample, in bytes."""
        return max((each.memory_used for each in self.samples if each.memory_used is not None), default=None)

    @property
    def gpu_memory_peak(self) -> int | None:
        """Most memory of the graphics card in use at a sample, in bytes."""
        return max((each.gpu_memory_used for each in self.samples if each.gpu_memory_used is not None), default=None)


class TelemetrySampler:
    """Samples the machine while a ``with`` block runs; `telemetry` has the result when it ends.

    Args:
        seconds: expected duration, which sets the interval; 0 where unknown.
        root: folder to read in place of ``/``; tests pass one with recorded files.
        interval: time between samples in seconds; None for one second, or more in a long run.
    """

    def __init__(self, seconds: float = 0.0, root: Path = Path("/"), interval: float | None = None) -> None:
        self._interval = interval or max(1.0, seconds / MOST_SAMPLES)
        self._root = root
        self._samples: list[TelemetrySample] = []

    def __enter__(self) -> TelemetrySampler:
        with ExitStack() as opened:
            self._tegra = opened.enter_context(TegraSampler(interval_ms=max(int(self._interval * 1000), 100)))
            self._nvml = opened.enter_context(Nvml())
            self._first_throttling = read_throttling(self._root)
            self._rapl = RaplCounters(self._root)
            self._begun = self._last = time.perf_counter()
            self._sample()
            self._thread = SamplerThread(self._sample, self._interval, "bedside-telemetry").__enter__()
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._opened:  # closes card and tegrastats, also where a reader has failed
            self._thread.__exit__(kind, error, trace)
            if error is None:
                self._sample()  # the state at the end
            self.telemetry = Telemetry(self._interval, self._sensors(), tuple(self._samples), self._throttling())

    def _sample(self) -> None:
        now = time.perf_counter()
        conditions, state, card = read_conditions(self._root), read_throttling(self._root), self._nvml.sample()
        tegra = self._tegra.samples[-1] if self._tegra.samples else None
        heat = [zone.celsius for zone in (*conditions.temperatures, *(tegra.temperatures if tegra else ()))]
        if card is not None and card.celsius is not None:
            heat.append(card.celsius)
        gpu = card.mhz if card is not None else max(tegra.gpu_mhz, default=None) if tegra else None
        self._samples.append(
            TelemetrySample(
                seconds=now - self._begun,
                clock_mhz=conditions.mean_mhz,
                gpu_mhz=gpu,
                celsius=max(heat, default=None),
                watts=self._watts(now, None if card is None else card.watts),
                memory_used=read_meminfo(self._root).used,
                gpu_memory_used=None if card is None else card.memory_used,
                throttled=(*state.active, *(card.throttled if card else ())),
            )
        )

    def _watts(self, now: float, card: float | None) -> float | None:
        """Returns the power since the sample before: of the module, or of processor and graphics card as far as known.

        The first sample has none where the sensor counts energy.
        """
        if self._tegra.samples:
            milliwatts = self._tegra.samples[-1].total_milliwatts
            return None if milliwatts is None else milliwatts / 1e3
        counted, joules, seconds = not self._rapl.reason, self._rapl.joules(), now - self._last
        self._last, self._rapl = now, RaplCounters(self._root)
        if not counted:
            return card
        if joules is None or seconds < 0.01:
            return None
        return joules / seconds + (card or 0.0)

    def _throttling(self) -> tuple[str, ...]:
        counted = read_throttling(self._root).events_since(self._first_throttling)
        seen = dict.fromkeys(reason for sample in self._samples for reason in sample.throttled)
        return (*counted, *seen)

    def _sensors(self) -> tuple[Sensor, ...]:
        tegra, nvml, samples = bool(self._tegra.samples), self._nvml.reason, self._samples

        def seen(value: Callable[[TelemetrySample], object]) -> bool:
            return any(value(sample) is not None for sample in samples)

        missing = "not readable on this machine"
        power = "tegrastats" if tegra else "RAPL" if not self._rapl.reason else ""
        if not nvml and not tegra:
            power = f"{power} + NVML" if power else "NVML (the graphics card alone)"
        return (
            Sensor("clock", "cpufreq or cpuinfo" if seen(lambda each: each.clock_mhz) else missing),
            Sensor("temperature", "thermal zones" if seen(lambda each: each.celsius) else missing),
            Sensor("power", power or self._rapl.reason),
            Sensor("memory", "meminfo" if seen(lambda each: each.memory_used) else missing),
            Sensor("Jetson", "tegrastats" if tegra else "not readable: no tegrastats on the PATH"),
            Sensor("graphics card", nvml or f"NVML, {self._nvml.title}"),
            Sensor("throttling", _throttle_sources(self._first_throttling, graphics=not nvml) or missing),
        )


def _throttle_sources(state: ThrottleState, *, graphics: bool) -> str:
    return ", ".join([*state.sources, *(["NVML"] if graphics else [])])
