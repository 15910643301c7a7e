"""A benchmark's warnings name what makes its figures less trustworthy, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bedside.devices import detect
from bedside.devices.measurement import benchmark_run
from bedside.devices.measurement.benchmark_run import BenchmarkRun, BenchmarkSettings
from bedside.devices.measurement.benchmark_scans import BenchmarkScans
from bedside.devices.measurement.imposed import Imposed
from bedside.devices.measurement.measuring import Failure
from bedside.devices.measurement.rounds import Schedule
from bedside.devices.measurement.telemetry import Telemetry
from bedside.devices.measurement.variant_run import VariantRun
from bedside.devices.sensors.conditions import Conditions

from .contender import Scripted

SETTINGS = BenchmarkSettings(min_seconds=3.0, rounds=5, scan_rounds=2, end_to_end=True)
HOST = replace(detect(Path("/nowhere")), usable_cores=4)
QUIET = Conditions(None, (), None)


@pytest.fixture(autouse=True)
def _full_speed(monkeypatch):
    monkeypatch.setattr(benchmark_run, "governor_warning", lambda: None)  # whatever this machine's is


def run(*, failure="", **changes):
    """A run of one variant that worked, and of another that failed where there is a reason."""
    runs = [VariantRun(Scripted("a"), None), *([VariantRun(Scripted("b"), None, failure)] if failure else [])]
    made = BenchmarkRun(
        settings=SETTINGS,
        bundles=(),
        host=HOST,
        before=QUIET,
        after=QUIET,
        imposed=None,
        thread_counts=(2, 4),
        scans=BenchmarkScans("synthetic", (None,)),
        chosen=(),
        runs=runs,
        groups=1,
        telemetry=Telemetry(1.0, (), (), ()),
        sustained=None,
    )
    return replace(made, **changes)


def test_a_quiet_run_has_no_warning():
    assert run().warnings() == ()


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"failure": "out of memory"}, "not measured: b: out of memory"),
        ({"thread_counts": (2, 5)}, "5 threads on 4 usable cores: they will wait for each other"),
        ({"groups": 3}, "memory was short: measured in 3 groups, each with the first one that works"),
        ({"sustained": Failure("a: too hot")}, "the sustained run failed; a: too hot"),
        (
            {"telemetry": Telemetry(1.0, (), (), ("power brake", "core throttled by heat: 2 times", "power brake"))},
            "throttled during the run: power brake; core throttled by heat: 2 times",
        ),
        (
            {"imposed": Imposed("nano", "Nano", 4 * 10**9, cores=1, device_cores=4, method="rlimit")},
            "4 threads on 1 usable cores: they will wait for each other",
        ),
    ],
    ids=["failure", "threads", "groups", "sustained", "throttled", "imposed"],
)
def test_each_cause_has_its_warning(changes, warning):
    assert run(**changes).warnings() == (warning,)


def test_a_busy_machine_is_warned_of_for_the_most_threads():
    busy = replace(QUIET, load_average=1000.0)
    (warning,) = run(before=busy).warnings()
    assert "load average 1000.00" in warning
    assert "which wants 4" in warning


def test_without_an_end_to_end_run_there_are_no_rounds_of_scans():
    assert SETTINGS.schedule == Schedule(5, 3.0, 2)
    assert replace(SETTINGS, end_to_end=False).schedule == Schedule(5, 3.0, 0)
