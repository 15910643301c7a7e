"""Measures the latency of a repeated call: warm-up, then calls until time and number suffice for the statistics."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WARM_UP_SECONDS = 0.2
WARM_UP_CALLS = 2
MIN_CALLS = 10


@dataclass(frozen=True)
class Latency:
    """Distribution of the time of one call, in milliseconds.

    Attributes:
        calls: number of calls measured, warm-up not counted.
        seconds: time the measurement took, warm-up not counted.
        mean_ms: arithmetic mean.
        std_ms: standard deviation (population).
        min_ms: fastest call.
        p50_ms: median; percentiles interpolate linearly between calls.
        p90_ms: 90th percentile.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile; with few calls it is close to the slowest.
        max_ms: slowest call.
    """

    calls: int
    seconds: float
    mean_ms: float
    std_ms: float
    min_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def measure_latency(
    call: Callable[[], object],
    *,
    min_seconds: float = 3.0,
    min_calls: int = MIN_CALLS,
    progress: Callable[[float], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Latency:
    """Measures how long ``call`` takes, with a warm-up and minimums like those of NVIDIA's trtexec.

    Warm-up lasts 200 ms or two calls, whichever is longer; the measurement ``min_seconds`` or ``min_calls``,
    whichever is longer.

    Args:
        call: function to measure; called without arguments, its result is dropped.
        min_seconds: shortest measurement, in seconds.
        min_calls: fewest calls measured.
        progress: called after each call with the finished fraction, 0…1.
        clock: function that returns a time in seconds; tests pass another one.
    """
    warm_up(call, clock=clock)
    return summarize(call_times(call, min_seconds=min_seconds, min_calls=min_calls, progress=progress, clock=clock))


def call_times(
    call: Callable[[], object],
    *,
    min_seconds: float,
    min_calls: int,
    progress: Callable[[float], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Returns the seconds of each call, without a warm-up; the arguments are those of `measure_latency`."""
    times: list[float] = []
    start = now = clock()
    while len(times) < min_calls or now - start < min_seconds:
        began = clock()
        call()
        now = clock()
        times.append(now - began)
        if progress is not None:
            progress(min(len(times) / min_calls, (now - start) / min_seconds if min_seconds > 0 else 1.0, 1.0))
    return times


def warm_up(
    call: Callable[[], object],
    *,
    seconds: float = WARM_UP_SECONDS,
    min_calls: int = WARM_UP_CALLS,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Repeats ``call`` until caches, thread pools and clocks have settled; returns the number of calls."""
    start, calls = clock(), 0
    while calls < min_calls or clock() - start < seconds:
        call()
        calls += 1
    return calls


def summarize(seconds: Sequence[float]) -> Latency:
    """Summarises call times given in seconds.

    Raises:
        ValueError: ``seconds`` is empty.
    """
    import numpy as np

    if not seconds:
        raise ValueError("expected at least one measured call, got none")
    times = np.asarray(seconds, dtype=np.float64) * 1e3
    p50, p90, p95, p99 = np.percentile(times, (50, 90, 95, 99))
    return Latency(
        calls=len(seconds),
        seconds=float(times.sum() / 1e3),
        mean_ms=float(times.mean()),
        std_ms=float(times.std()),
        min_ms=float(times.min()),
        p50_ms=float(p50),
        p90_ms=float(p90),
        p95_ms=float(p95),
        p99_ms=float(p99),
        max_ms=float(times.max()),
    )
