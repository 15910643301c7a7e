"""Engines that only move a clock: what the variants' times are, and on which machine they were measured."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from bedside.export.gate import times
from bedside.export.gate.times import this_machine, timed_variants
from bedside.runtime.bundles.variant import Variant
from bedside.runtime.engine_selection import machine_identity as identity_module
from bedside.runtime.engine_selection import timing
from bedside.runtime.engine_selection.machine_identity import machine_identity
from bedside.runtime.engines import CPU, InferenceDevice

PATCH = np.zeros((1, 1, 2, 2, 2), np.float32)


class Clock:
    """Engines by (engine, precision) → seconds of a window; ``load`` slows all of them down, all run on ``device``.

    Attributes:
        open_now: engines that nobody closed.
        most_open: the most engines that were open at once.
        opened: the precision of each engine that was opened.
    """

    def __init__(self, seconds: dict[tuple[str, str], float]):
        self.now, self.seconds, self.load, self.device = 0.0, seconds, 1.0, CPU
        self.open_now, self.most_open, self.opened = [], 0, []

    def open_engine(self, name, model, *, threads, precision):
        clock = self

        class Fake:
            device = clock.device

            def infer(self, patches):
                clock.now += clock.load * clock.seconds[name, precision]

            def close(self):
                clock.open_now.remove(self)

        self.open_now.append(Fake())
        self.opened.append(precision)
        self.most_open = max(self.most_open, len(self.open_now))
        return self.open_now[-1]


@pytest.fixture
def clock(monkeypatch):
    def start(**seconds: float) -> Clock:
        clock = Clock({("openvino", name): value for name, value in seconds.items()})
        fake_time = SimpleNamespace(perf_counter=lambda: clock.now, process_time=lambda: 0.0)
        monkeypatch.setattr(timing, "_waited", dict)  # nothing else runs on this machine
        monkeypatch.setattr(timing, "time", fake_time)
        monkeypatch.setattr(times, "time", fake_time)
        monkeypatch.setattr(times, "open_engine", clock.open_engine)
        return clock

    return start


def variants(*precisions: str, **failed: bool) -> list[Variant]:
    return [
        Variant(precision=precision, engine="openvino", file="model", passed=precision not in failed)
        for precision in precisions
    ]


def test_every_variant_has_the_time_of_a_window_in_the_order_given(clock, tmp_path):
    started = clock(fp32=0.080, int8=0.020, bf16=0.040)
    begun: list[str] = []
    found = timed_variants(
        variants("fp32", "int8", "bf16"), tmp_path, PATCH, 1, lambda each: begun.append(each.precision)
    )
    assert [(each.precision, each.ms_per_window) for each in found] == [
        ("fp32", pytest.approx(80)),
        ("int8", pytest.approx(20)),
        ("bf16", pytest.approx(40)),
    ]
    assert begun == ["fp32", "bf16", "int8"]  # the most exact first
    assert started.open_now == []
    assert started.most_open == 2
    assert started.opened == ["fp32", "bf16", "int8"]  # each once: what is compared with next stays open


@pytest.mark.parametrize(("device", "ms"), [(CPU, 0), ("GPU", 30)])
def test_another_devices_time_is_that_of_the_clock_though_the_cpu_waits(clock, tmp_path, monkeypatch, device, ms):
    """Its threads wait for a CPU all the time; the CPU time of this process, here 0, counts on the CPU alone."""
    started = clock(fp32=0.030)
    started.device = device
    monkeypatch.setattr(timing, "_waited", lambda: {"1": started.now})
    (found,) = timed_variants(variants("fp32"), tmp_path, PATCH, 1, lambda each: None)
    assert found.ms_per_window == pytest.approx(ms)


def test_a_load_that_comes_with_the_second_variant_does_not_count_against_it(clock, tmp_path):
    started = clock(fp32=0.080, int8=0.040)

    def load(variant: Variant) -> None:
        started.load = 3.0 if variant.precision == "int8" else 1.0

    found = timed_variants(variants("fp32", "int8"), tmp_path, PATCH, 1, load)
    assert [each.ms_per_window for each in found] == pytest.approx([80, 40])


def test_each_runs_in_turns_with_the_fastest_more_exact_one_that_passed(clock, tmp_path, monkeypatch):
    clock(**{"fp32": 0.080, "bf16": 0.010, "int8": 0.020, "int8-bf16": 0.020})
    pairs: list[tuple[str, str | None]] = []
    real = times._timed

    def seen(variant, reference, *rest):
        pairs.append((variant.precision, reference and reference.precision))
        return real(variant, reference, *rest)

    monkeypatch.setattr(times, "_timed", seen)
    judged = variants("fp32", "bf16", "int8", "int8-bf16", bf16=True)
    timed_variants(judged, tmp_path, PATCH, 1, lambda each: None)
    assert pairs == [("fp32", None), ("bf16", "fp32"), ("int8", "fp32"), ("int8-bf16", "int8")]


def test_every_time_has_its_device_with_title_and_driver(clock, tmp_path, monkeypatch):
    started = clock(fp32=0.080, int8=0.020)
    found = timed_variants(variants("fp32", "int8"), tmp_path, PATCH, 1, lambda each: None)
    assert {each.timed_device for each in found} == {"CPU"}
    started.device = "GPU.1"
    card = InferenceDevice(name="GPU.1", precisions=("fp32", "int8"), title="Arc", software="driver 24.1")
    monkeypatch.setattr(identity_module, "inference_devices", lambda engine: (card,))
    found = timed_variants(variants("fp32", "int8"), tmp_path, PATCH, 1, lambda each: None)
    assert {each.timed_device for each in found} == {"GPU.1, Arc, driver 24.1"}


def test_this_machine_is_the_one_that_selects_an_engine_with_as_many_threads():
    machine = this_machine(2)
    assert (machine.identity, machine.threads) == (machine_identity(2), 2)
    assert machine.cpu
