from __future__ import annotations

import pytest
from bedside.devices.measurement.latency import measure_latency, summarize, warm_up


class Clock:
    """A clock that moves only when the measured call says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls = 0

    def __call__(self) -> float:
        return self.now

    def sleeper(self, *durations: float) -> object:
        def call() -> None:
            self.now += durations[min(self.calls, len(durations) - 1)]
            self.calls += 1

        return call


def test_percentiles_of_one_to_hundred_milliseconds() -> None:
    latency = summarize([count / 1000 for count in range(1, 101)])
    assert latency.calls == 100
    assert latency.seconds == pytest.approx(5.050)
    assert (latency.min_ms, latency.max_ms) == pytest.approx((1, 100))
    assert latency.mean_ms == pytest.approx(50.5)
    assert latency.std_ms == pytest.approx(28.866, abs=1e-3)  # sqrt((100² − 1) / 12)
    # Linear interpolation: p50 lies half-way between the 50th and the 51st value.
    assert (latency.p50_ms, latency.p90_ms) == pytest.approx((50.5, 90.1))
    assert (latency.p95_ms, latency.p99_ms) == pytest.approx((95.05, 99.01))


def test_fast_calls_are_warmed_up_for_200_ms_and_measured_for_the_seconds_asked() -> None:
    clock = Clock()
    latency = measure_latency(clock.sleeper(0.0625), min_seconds=1.0, clock=clock)
    assert latency.calls == 16
    assert clock.calls - latency.calls == 4  # 4 × 62.5 ms reach 200 ms
    assert latency.p50_ms == pytest.approx(62.5)


def test_slow_calls_are_warmed_up_twice_and_measured_ten_times() -> None:
    clock = Clock()
    latency = measure_latency(clock.sleeper(5.0), min_seconds=1.0, clock=clock)
    assert (clock.calls, latency.calls) == (12, 10)


def test_slow_first_calls_do_not_count() -> None:
    clock = Clock()
    latency = measure_latency(clock.sleeper(9.0, 9.0, 0.5), min_seconds=1.0, clock=clock)
    assert (latency.max_ms, latency.mean_ms) == pytest.approx((500, 500))


def test_progress_grows_from_nothing_to_one() -> None:
    clock, shares = Clock(), list[float]()
    measure_latency(clock.sleeper(0.25), min_seconds=5.0, progress=shares.append, clock=clock)
    assert shares[0] == pytest.approx(0.05)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_warm_up_makes_at_least_two_calls() -> None:
    clock = Clock()
    assert warm_up(clock.sleeper(3.0), clock=clock) == 2


def test_nothing_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        summarize([])
