"""The time of each stage."""

from __future__ import annotations

from bedside.runtime import stopwatch


def test_an_inner_stage_stops_the_outer_ones_clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])
    watch = stopwatch.Stopwatch(("outer", "inner", "never"))
    with watch.stage("outer"):
        now[0] = 1.0
        with watch.stage("inner"):
            now[0] = 3.0
        now[0] = 3.5
    now[0] = 9.0  # between stages
    with watch.stage("inner"):
        now[0] = 10.0
    assert watch.milliseconds == {"outer": 1500, "inner": 3000, "never": 0}
