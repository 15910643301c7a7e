"""Engines that only move a clock, for the tests of what is chosen."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
from bedside.runtime import (
    Bundle,
    ResourceError,
    write_manifest,
)
from bedside.runtime.bundles.variant import Variant
from bedside.runtime.engine_selection import timing, trials
from bedside.runtime.engine_selection.trials import Setting
from bedside.runtime.engines import ENGINES, PRECISIONS, InferenceDevice

FP32 = ("openvino", "fp32", None)
ALL = [FP32, *(("openvino", precision, True) for precision in ("bf16", "int8", "int8-bf16"))]


class Workshop:
    """What fake engines are made of, and what became of them.

    Attributes:
        now: seconds on the clock, which only these engines move.
        seconds: (engine, precision) → of one window in one stream; streams run at the same time.
        together: (engine, precision, streams) → of each window where several streams gain less than that.
        unable: (engine, precision) the machine does not have.
        wrong: (engine, precision) that return other logits than the student.
        opened: settings opened, in order.
        open_now: engines that nobody closed.
        windows: calls of `infer`.
        cards: devices of the engines beside the CPU.
    """

    def __init__(self, toy, task):
        self.toy, self.task = toy, task
        self.now, self.seconds, self.together = 0.0, {}, {}
        self._moving = threading.Lock()
        self.unable, self.wrong, self.full = set(), set(), set()
        self.opened, self.open_now, self.windows = [], [], 0
        self.cards: tuple[InferenceDevice, ...] = ()

    def factory(self, name):
        workshop = self

        class Fake:
            def __init__(self, model, threads, precision, streams, compiled, device):
                workshop.imported = compiled
                self.name, self.precision, self.parallel, self.threads = name, precision, streams, threads
                self.device = device
                self.patch_dhw, self.num_classes = workshop.task.patch.dhw, workshop.task.num_classes
                self.has_run = False
                workshop.opened.append(Setting(name, precision, streams))
                if (name, precision) in workshop.full:
                    raise ResourceError("no room")
                workshop.open_now.append(self)

            @staticmethod
            def devices():
                able = tuple(precision for precision in PRECISIONS if (name, precision) not in workshop.unable)
                found = (InferenceDevice("CPU", able), *workshop.cards)
                return tuple(replace(device, precisions=able) for device in found)

            def infer(self, patches):
                with workshop._moving:
                    workshop.windows += 1
                    alone = workshop.seconds.get((name, self.precision), 0.015)
                    workshop.now += workshop.together.get((name, self.precision, self.parallel), alone / self.parallel)
                self.has_run = True
                logits = workshop.toy.nearest_mean_logits(patches)
                return -logits if (name, self.precision) in workshop.wrong else logits

            def compiled(self):
                return b"compiled by " + name.encode()

            def close(self):
                if self in workshop.open_now:
                    workshop.open_now.remove(self)

        return Fake


@pytest.fixture
def workshop(monkeypatch, toy, task):
    made = Workshop(toy, task)
    clock = SimpleNamespace(perf_counter=lambda: made.now, process_time=lambda: 0.0)
    monkeypatch.setattr(timing, "_waited", dict)  # nothing else runs on this machine
    monkeypatch.setattr(timing, "time", clock)
    monkeypatch.setattr(trials, "time", clock)
    module = SimpleNamespace(OpenVino=made.factory("openvino"), OnnxRuntime=made.factory("onnxruntime"))
    monkeypatch.setitem(sys.modules, "fake_engines", module)
    for name, factory in (("openvino", "OpenVino"), ("onnxruntime", "OnnxRuntime")):
        row = replace(ENGINES[name], package="numpy", module="fake_engines", factory=factory)
        monkeypatch.setitem(ENGINES._rows, name, row)
    return made


@pytest.fixture
def write(toy, task, tmp_path):
    """Writes and opens a bundle of the variants (engine, precision, passed), some of which it may leave out."""
    bundles = []

    def bundle(*variants, left_out=()):
        path = toy.write_bundle(tmp_path / f"{len(bundles)}.bedside", task)
        told, gone = (
            tuple(
                Variant(precision=precision, engine=engine, file="model.fp32.onnx", passed=passed, golden_agreement=1.0)
                for engine, precision, passed in each
            )
            for each in (variants, left_out)
        )
        write_manifest(path, toy.manifest(task, told, left_out=gone))
        bundles.append(Bundle.open(path))
        return bundles[-1]

    yield bundle
    for each in bundles:
        each.close()


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Turns the cache on; its folder."""
    monkeypatch.setenv("BEDSIDE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
