"""A sustained run with a clock of our own: windows of 1 s that take 2 s at the end are twice as slow."""

from __future__ import annotations

import pytest
from bedside.devices.measurement.sustained import sustained_run, sustained_times
from bedside.devices.measurement.telemetry import Telemetry, TelemetrySample


class Clock:
    """A clock that a call moves on: by 1 s in the first half of the run, by 2 s in the second."""

    def __init__(self, seconds):
        self.now, self.half = 0.0, seconds / 2

    def __call__(self):
        return self.now

    def call(self):
        self.now += 1.0 if self.now < self.half else 2.0


def test_the_last_minute_is_compared_with_the_first():
    clock, shares = Clock(600.0), []
    times = sustained_times(clock.call, 600.0, shares.append, clock)
    assert (times.seconds, times.compared_s) == (600.0, 60.0)
    assert (times.first.p50_ms, times.last.p50_ms) == (1000.0, 2000.0)
    assert (times.first.calls, times.last.calls) == (60, 30)
    assert times.ratio.value == pytest.approx(2.0)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_short_run_compares_its_thirds():
    clock = Clock(30.0)
    times = sustained_times(clock.call, 30.0, lambda share: None, clock)
    assert times.seconds == 31.0  # fifteen of 1 s, eight of 2 s
    assert times.compared_s == pytest.approx(31 / 3)
    assert (times.first.calls, times.last.calls) == (11, 5)


def test_a_window_longer_than_the_run_still_gives_two():
    clock = Clock(0.0)
    times = sustained_times(clock.call, 3.0, lambda share: None, clock)
    assert sum(each.calls for each in times.bins) == 2


def test_clocks_and_heat_are_those_of_the_two_ends():
    clock = Clock(600.0)
    times = sustained_times(clock.call, 600.0, lambda share: None, clock)
    samples = tuple(
        TelemetrySample(float(second), 3000.0 - second, None, 40 + second / 10, None, None, None)
        for second in range(0, 601, 10)
    )
    run = sustained_run("openvino fp32", times, 4500.0, Telemetry(10.0, (), samples, ("heat: 2 times",)))
    assert (run.first_state.clock_mhz, run.last_state.clock_mhz) == (2970.0, 2430.0)
    assert (run.first_state.celsius, run.last_state.celsius) == (43.0, 97.0)
    assert run.joules_per_window == pytest.approx(4500 / 450)
    assert run.first_state.watts is None
