"""A sustained run: one variant's windows for minutes, the first minute against the last, with clocks and heat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from .latency import Latency, summarize
from .ratio import Ratio, unpaired_ratio
from .telemetry import Telemetry, TelemetrySample

SHORTEST, LONGEST = 3.0, 86400.0  # seconds
_COMPARED = 60.0  # seconds at either end; a third of a run below three minutes
_BINS = 6  # in the compared part


@dataclass(frozen=True)
class Bin:
    """Windows that began in a stretch of the run.

    Attributes:
        seconds: middle of the stretch, since the run began.
        calls: number of windows.
        p50_ms: their median latency.
        max_ms: the slowest.
    """

    seconds: float
    calls: int
    p50_ms: float
    max_ms: float


@dataclass(frozen=True)
class SustainedTimes:
    """Latencies of a sustained run.

    Attributes:
        seconds: duration.
        compared_s: length of its first and of its last part, which are compared.
        first: latency in the first part.
        last: latency in the last part.
        ratio: last by first, from the medians of the stretches in each.
        bins: latency along the run.
    """

    seconds: float
    compared_s: float
    first: Latency
    last: Latency
    ratio: Ratio
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class State:
    """Means over a part of a run; None where no sensor could be read.

    Attributes:
        clock_mhz: clock of the cores.
        gpu_mhz: clock of the graphics processor.
        celsius: the hottest sensor.
        watts: power of the whole package or module.
    """

    clock_mhz: float | None
    gpu_mhz: float | None
    celsius: float | None
    watts: float | None


@dataclass(frozen=True)
class SustainedRun:
    """A sustained run of one variant.

    Attributes:
        name: the variant.
        times: latencies.
        joules: energy of the whole package or module over the run in J; None where not readable.
        joules_per_window: the same by the number of windows.
        telemetry: clocks, temperatures, power and throttling along the run.
        first_state: means over the first part.
        last_state: means over the last part.
    """

    name: str
    times: SustainedTimes
    joules: float | None
    joules_per_window: float | None
    telemetry: Telemetry
    first_state: State
    last_state: State


def sustained_times(
    call: Callable[[], object],
    seconds: float,
    progress: Callable[[float], object],
    clock: Callable[[], float] = time.perf_counter,
) -> SustainedTimes:
    """Repeats a call for so many seconds.

    Args:
        call: function to measure; called without arguments, at least twice.
        seconds: duration.
        progress: called after each call with the finished fraction, 0…1.
        clock: function that returns a time in seconds; tests pass another one.
    """
    begun = now = clock()
    starts, times = list[float](), list[float]()
    while now - begun < seconds or len(times) < 2:
        began = clock()
        call()
        now = clock()
        starts.append(began - begun)
        times.append(now - began)
        progress(min((now - begun) / seconds, 1.0))
    return _summed_up(starts, times, now - begun)


def _summed_up(starts: list[float], times: list[float], seconds: float) -> SustainedTimes:
    compared = min(_COMPARED, seconds / 3)
    width = compared / _BINS
    stretches: dict[int, list[float]] = {}
    for start, spent in zip(starts, times, strict=True):
        stretches.setdefault(int(start / width), []).append(spent)
    bins = tuple(
        Bin((index + 0.5) * width, len(group), median(group) * 1e3, max(group) * 1e3)
        for index, group in sorted(stretches.items())
    )
    first = [spent for start, spent in zip(starts, times, strict=True) if start < compared]
    last = [spent for start, spent in zip(starts, times, strict=True) if start >= seconds - compared] or times[-1:]
    early = [each.p50_ms for each in bins if each.seconds < compared]
    late = [each.p50_ms for each in bins if each.seconds > seconds - compared] or [bins[-1].p50_ms]
    return SustainedTimes(seconds, compared, summarize(first), summarize(last), unpaired_ratio(late, early), bins)


def sustained_run(name: str, times: SustainedTimes, joules: float | None, telemetry: Telemetry) -> SustainedRun:
    """Returns a run with the states at its beginning and its end.

    Args:
        name: the variant.
        times: its latencies.
        joules: energy over the run in J; None where not readable.
        telemetry: samples of the same stretch of time.
    """
    calls = sum(each.calls for each in times.bins)
    return SustainedRun(
        name=name,
        times=times,
        joules=joules,
        joules_per_window=None if joules is None else joules / calls,
        telemetry=telemetry,
        first_state=_state(telemetry, 0.0, times.compared_s),
        last_state=_state(telemetry, times.seconds - times.compared_s, times.seconds + telemetry.interval_s),
    )


def _state(telemetry: Telemetry, start: float, end: float) -> State:
    def mean(value: Callable[[TelemetrySample], float | None]) -> float | None:
        return telemetry.mean(value, start, end)

    return State(
        clock_mhz=mean(lambda sample: sample.clock_mhz),
        gpu_mhz=mean(lambda sample: sample.gpu_mhz),
        celsius=mean(lambda sample: sample.celsius),
        watts=mean(lambda sample: sample.watts),
    )
