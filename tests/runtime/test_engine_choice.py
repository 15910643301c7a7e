"""Engines are faked at the outermost seam: as packages in the engine table, whose speed is known."""

from __future__ import annotations

import json
import logging
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from bedside.runtime import (
    Bundle,
    BundleError,
    ResourceError,
    Segmenter,
    UsageError,
    calibration,
    engine_choice,
    undisturbed,
    write_manifest,
)
from bedside.runtime import engines as engine_table
from bedside.runtime.calibration import Setting
from bedside.runtime.engine_choice import open_for_bundle
from bedside.runtime.engines import EngineEntry
from bedside.runtime.manifest import Variant


class Workshop:
    """What fake engines are made of, and what became of them.

    Attributes:
        now: seconds on the clock, which only these engines move.
        seconds: (engine, precision) → of one window in one stream; streams run at the same time.
        unable: (engine, precision) the machine does not have.
        wrong: (engine, precision) that return other logits than the student.
        opened: settings opened, in order.
        open_now: engines that nobody closed.
        windows: calls of `infer`.
    """

    def __init__(self, toy, task):
        self.toy, self.task = toy, task
        self.now, self.seconds = 0.0, {}
        self._moving = threading.Lock()
        self.unable, self.wrong, self.full = set(), set(), set()
        self.opened, self.open_now, self.windows = [], [], 0

    def factory(self, name):
        workshop = self

        class Fake:
            def __init__(self, model, threads, precision, streams, compiled):
                workshop.imported = compiled
                self.name, self.precision, self.parallel, self.threads = name, precision, streams, threads
                self.patch_dhw, self.num_classes = workshop.task.patch_dhw, workshop.task.num_classes
                self.pending_bytes = 0
                workshop.opened.append(Setting(name, precision, streams))
                if (name, precision) in workshop.full:
                    raise ResourceError("no room")
                workshop.open_now.append(self)

            @staticmethod
            def supports(precision):
                return (name, precision) not in workshop.unable

            def infer(self, patches):
                with workshop._moving:
                    workshop.windows += 1
                    workshop.now += workshop.seconds.get((name, self.precision), 0.015) / self.parallel
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
    monkeypatch.setattr(undisturbed, "_waited", dict)  # nothing else runs on this machine
    monkeypatch.setattr(undisturbed, "time", clock)
    monkeypatch.setattr(calibration, "time", clock)
    module = SimpleNamespace(OpenVino=made.factory("openvino"), OnnxRuntime=made.factory("onnxruntime"))
    monkeypatch.setitem(sys.modules, "fake_engines", module)
    monkeypatch.setitem(engine_table.ENGINES, "openvino", EngineEntry("numpy", "openvino", "fake_engines", "OpenVino"))
    monkeypatch.setitem(engine_table.ENGINES, "onnxruntime", EngineEntry("numpy", None, "fake_engines", "OnnxRuntime"))
    return made


@pytest.fixture
def write(toy, task, tmp_path):
    """Writes and opens a bundle of the variants (engine, precision, passed)."""
    bundles = []

    def bundle(*variants):
        path = toy.write_bundle(tmp_path / f"{len(bundles)}.bedside", task)
        told = tuple(
            Variant(precision=precision, engine=engine, file="model.fp32.onnx", passed=passed, golden_agreement=1.0)
            for engine, precision, passed in variants
        )
        write_manifest(path, toy.manifest(task, told))
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


FP32 = ("openvino", "fp32", None)
ALL = [FP32, *(("openvino", precision, True) for precision in ("bf16", "int8", "int8-bf16"))]


class TestTheFastest:
    @pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int8-bf16"])
    def test_precision_is_taken(self, workshop, write, precision):
        workshop.seconds["openvino", precision] = 0.002
        assert open_for_bundle(write(*ALL), "openvino", threads=1).choice.setting == Setting("openvino", precision)

    @pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
    def test_engine_is_taken(self, workshop, write, engine):
        workshop.seconds[engine, "fp32"] = 0.002
        assert open_for_bundle(write(FP32, ("onnxruntime", "fp32", None)), threads=1).engine.name == engine

    def test_number_of_streams_is_taken(self, workshop, write):
        opened = open_for_bundle(write(FP32), "openvino", threads=2)  # two at a time in the time of one
        assert (opened.engine.parallel, opened.choice.setting.streams) == (2, 2)

    def test_a_gain_below_a_tenth_does_not_replace_the_exact_one(self, workshop, write):
        workshop.seconds.update({("openvino", "fp32"): 0.100, ("openvino", "int8"): 0.091})
        bundle = write(FP32, ("openvino", "int8", True))
        assert open_for_bundle(bundle, "openvino", threads=1).engine.precision == "fp32"

    def test_only_the_chosen_engine_stays_open(self, workshop, write):
        workshop.seconds["openvino", "bf16"] = 0.002
        opened = open_for_bundle(write(*ALL), threads=2)
        assert len(workshop.opened) > 3
        assert workshop.open_now == [opened.engine]

    def test_the_choice_tells_what_was_measured(self, workshop, write, caplog):
        workshop.seconds.update({("openvino", "fp32"): 0.080, ("openvino", "int8"): 0.020})
        with caplog.at_level(logging.INFO, "bedside"):
            choice = open_for_bundle(write(FP32, ("openvino", "int8", True)), "openvino", threads=1).choice
        measured = {str(trial.setting): trial.ms_per_window for trial in choice.trials}
        assert measured == {"openvino fp32": 80, "openvino int8": 20}
        assert choice.reason == "openvino int8: 20 ms per window (openvino fp32 80 ms)"
        assert choice.reason in caplog.text

    def test_a_segmenter_knows_its_choice(self, workshop, write):
        with Segmenter.load(write(FP32).path, "openvino", threads=1) as segmenter:
            assert segmenter.choice.setting == Setting("openvino", "fp32")


class TestTheGate:
    @pytest.mark.parametrize("passed", [False, None])
    @pytest.mark.parametrize("precision", ["bf16", "int8", "int8-bf16"])
    def test_what_did_not_pass_is_not_even_opened(self, workshop, write, precision, passed):
        workshop.seconds["openvino", precision] = 0.0
        open_for_bundle(write(FP32, ("openvino", precision, passed)), threads=2)
        assert {setting.precision for setting in workshop.opened} == {"fp32"}

    def test_what_passed_with_another_engine_does_not_count(self, workshop, write):
        open_for_bundle(write(FP32, ("onnxruntime", "int8", True)), "openvino", threads=1)
        assert workshop.opened == [Setting("openvino", "fp32")]

    def test_fp32_that_failed_is_not_chosen_either(self, workshop, write):
        bundle = write(("openvino", "fp32", False), ("onnxruntime", "fp32", True))
        assert open_for_bundle(bundle, threads=1).engine.name == "onnxruntime"
        with pytest.raises(BundleError, match="no variant of the bundle passed its gate; export it again, or name"):
            open_for_bundle(bundle, "openvino", threads=1)

    def test_what_is_named_runs_whatever_the_gate_said(self, workshop, write):
        bundle = write(FP32, ("openvino", "int8", False))
        assert open_for_bundle(bundle, "openvino", "int8", 1).engine.precision == "int8"

    def test_a_forged_record_does_not_bring_in_what_failed(self, workshop, write, cached):
        bundle = write(FP32, ("openvino", "int8", False))
        open_for_bundle(bundle, "openvino", threads=1)
        (record,) = cached.glob("*.json")
        record.write_text(record.read_text().replace("fp32", "int8"))
        assert open_for_bundle(bundle, "openvino", threads=1).engine.precision == "fp32"


class TestTheSelfTest:
    def test_who_fails_it_is_not_taken_however_fast(self, workshop, write):
        workshop.seconds["openvino", "int8"] = 0.0
        workshop.wrong.add(("openvino", "int8"))
        choice = open_for_bundle(write(FP32, ("openvino", "int8", True)), "openvino", threads=1).choice
        assert choice.setting == Setting("openvino", "fp32")
        assert "self-test with openvino int8 failed on this machine" in choice.trials[1].note

    def test_where_the_default_fails_another_engine_may_stand_in(self, workshop, write):
        workshop.wrong.add(("openvino", "fp32"))
        bundle = write(FP32, ("onnxruntime", "fp32", None))
        assert open_for_bundle(bundle, threads=1).engine.name == "onnxruntime"

    def test_where_all_fail_the_defaults_error_is_raised_and_nothing_stays_open(self, workshop, write):
        workshop.wrong.update({("openvino", "fp32"), ("onnxruntime", "fp32")})
        with pytest.raises(BundleError, match="self-test with openvino fp32 failed"):
            open_for_bundle(write(FP32, ("onnxruntime", "fp32", None)), threads=1)
        assert workshop.open_now == []

    def test_who_finds_no_room_is_left_out(self, workshop, write):
        workshop.full.add(("openvino", "int8"))
        choice = open_for_bundle(write(FP32, ("openvino", "int8", True)), "openvino", threads=1).choice
        assert (choice.setting.precision, choice.trials[1].note) == ("fp32", "no room")

    def test_an_interruption_leaves_nothing_open(self, workshop, write, monkeypatch):
        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(calibration.GoldenTest, "check", interrupt)
        with pytest.raises(KeyboardInterrupt):
            open_for_bundle(write(*ALL), threads=2)
        assert workshop.open_now == []

    def test_without_it_the_default_is_opened_and_nothing_measured(self, workshop, write, cached):
        workshop.wrong.add(("openvino", "fp32"))
        opened = open_for_bundle(write(*ALL), threads=2, self_test=False)
        assert workshop.opened == [opened.choice.setting] == [Setting("openvino", "fp32")]
        assert not cached.exists()


class TestWhatIsAskedFor:
    def test_engine_precision_and_threads_leave_nothing_to_measure(self, workshop, write):
        open_for_bundle(write(*ALL), "openvino", "bf16", 2)
        assert workshop.opened == [Setting("openvino", "bf16", 1)]

    def test_a_named_precision_is_kept(self, workshop, write):
        workshop.seconds["openvino", "int8"] = 0.0
        open_for_bundle(write(*ALL), precision="bf16")
        assert {setting.precision for setting in workshop.opened} == {"bf16"}

    def test_a_named_engine_is_kept(self, workshop, write):
        open_for_bundle(write(FP32, ("onnxruntime", "fp32", None)), "onnxruntime")
        assert {setting.engine for setting in workshop.opened} == {"onnxruntime"}

    def test_a_named_precision_goes_to_the_engine_that_has_it(self, workshop, write):
        workshop.unable.add(("openvino", "bf16"))
        bundle = write(FP32, ("onnxruntime", "bf16", True))
        assert open_for_bundle(bundle, precision="bf16", threads=1).engine.name == "onnxruntime"

    def test_a_precision_that_the_machine_lacks_is_refused(self, workshop, write):
        workshop.unable.update({("openvino", "bf16"), ("onnxruntime", "bf16")})
        with pytest.raises(UsageError, match="openvino does not compute in bf16 on this machine"):
            open_for_bundle(write(*ALL), precision="bf16", threads=1)
        assert open_for_bundle(write(*ALL), threads=1).engine.precision != "bf16"

    def test_a_precision_that_the_bundle_lacks_is_refused(self, workshop, write):
        with pytest.raises(BundleError, match="the bundle has no int8 model for openvino; it has: openvino fp32"):
            open_for_bundle(write(FP32), precision="int8", threads=1)

    def test_without_an_engine_the_command_is_told(self, write, monkeypatch):
        monkeypatch.setattr(engine_choice, "available_engines", list)
        with pytest.raises(UsageError, match="no engine is installed; run: pip install onnxruntime"):
            open_for_bundle(write(FP32))

    @pytest.mark.parametrize(("threads", "streams"), [(1, ()), (2, (2,)), (6, (3,)), (7, ()), (16, (4,))])
    def test_streams_share_the_threads_evenly(self, threads, streams):
        assert engine_choice._more_streams(threads) == streams


class TestSparingTime:
    def test_after_the_default_candidates_are_first_tried_in_all_their_streams(self, workshop, write):
        open_for_bundle(write(FP32, ("openvino", "int8", True)), "openvino", threads=2)
        assert [(each.precision, each.streams) for each in workshop.opened] == [("fp32", 1), ("int8", 2), ("int8", 1)]

    def test_what_would_end_too_late_is_not_begun(self, workshop, write, monkeypatch):
        monkeypatch.setattr(calibration, "BUDGET_SECONDS", 0.0)
        workshop.seconds.update({("openvino", "fp32"): 0.4, ("openvino", "int8-bf16"): 0.35})
        choice = open_for_bundle(write(*ALL), "openvino", threads=1).choice
        assert len(workshop.opened) == 2  # of 2.5 · 0.4 s, 0.75 are gone, and the next might take 0.35
        assert [trial.note for trial in choice.trials[2:]] == ["not measured, for want of time"] * 2

    def test_an_engine_that_is_far_behind_is_not_measured_further(self, workshop, write):
        workshop.seconds["onnxruntime", "fp32"] = 0.09  # six times the other's
        bundle = write(FP32, ("onnxruntime", "fp32", None), ("onnxruntime", "int8", True))
        choice = open_for_bundle(bundle, threads=1).choice
        assert choice.trials[2].setting == Setting("onnxruntime", "int8")
        assert choice.trials[2].note == "not measured, its engine is too slow"

    def test_short_windows_are_timed_more_than_once(self, workshop, write):
        open_for_bundle(write(FP32), "openvino", threads=1)
        assert workshop.windows == 5

    def test_a_long_window_is_run_once(self, workshop, write):
        workshop.seconds["openvino", "fp32"] = 0.25
        open_for_bundle(write(FP32), "openvino", threads=1)
        assert workshop.windows == 1


class TestSparingMemory:
    @pytest.fixture
    def workspace(self, workshop, monkeypatch):
        """Makes a window take 100 MiB in the books."""
        held = iter(range(1, 1000))
        monkeypatch.setattr(calibration, "resident_bytes", lambda: next(held) * 100 * 2**20)

    def test_further_streams_are_left_out_where_they_would_take_more_than_a_quarter(
        self, workspace, workshop, write, monkeypatch
    ):
        monkeypatch.setattr(calibration, "free_memory", lambda: 350 * 2**20)
        choice = open_for_bundle(write(FP32), "openvino", threads=2).choice
        assert (choice.setting.streams, choice.trials[1].note) == (1, "not measured, for want of memory")

    def test_and_are_tried_where_there_is_room(self, workspace, workshop, write, monkeypatch):
        monkeypatch.setattr(calibration, "free_memory", lambda: 450 * 2**20)
        assert open_for_bundle(write(FP32), "openvino", threads=2).choice.setting.streams == 2

    def test_the_callers_limit_counts_like_the_machines(self, workspace, workshop, write, monkeypatch):
        monkeypatch.setattr(calibration, "free_memory", lambda: 2**40)
        choice = open_for_bundle(write(FP32), "openvino", threads=2, memory_limit=700 * 2**20).choice
        assert choice.trials[1].note == "not measured, for want of memory"  # 300 MiB are left


class TestTheNextStart:
    def test_takes_the_same_without_measuring_or_testing(self, workshop, write, cached):
        bundle = write(*ALL)
        first = open_for_bundle(bundle).choice
        workshop.opened.clear()
        workshop.windows = 0
        workshop.seconds["openvino", "fp32"] = 0.0  # would win now
        assert open_for_bundle(bundle).choice == first
        assert (workshop.opened, workshop.windows) == ([first.setting], 0)

    def test_starts_from_what_was_compiled(self, workshop, write, cached):
        bundle = write(FP32)
        open_for_bundle(bundle, threads=1)
        open_for_bundle(bundle, threads=1)
        assert workshop.imported == b"compiled by openvino"

    def test_compiles_again_where_that_was_altered(self, workshop, write, cached):
        bundle = write(FP32)
        open_for_bundle(bundle, threads=1)
        (compiled,) = cached.glob("*.compiled")
        compiled.write_bytes(b"compiled by somebody")
        assert open_for_bundle(bundle, threads=1).engine.name == "openvino"
        assert workshop.imported is None

    def test_knows_what_the_engine_will_still_take(self, workshop, write, cached, monkeypatch):
        held = iter(range(1, 1000))
        monkeypatch.setattr(calibration, "resident_bytes", lambda: next(held) * 100 * 2**20)
        bundle = write(FP32)
        assert open_for_bundle(bundle, "openvino", threads=1).engine.pending_bytes == 0  # it has run
        assert open_for_bundle(bundle, "openvino", threads=1).engine.pending_bytes == 100 * 2**20

    @pytest.mark.parametrize(
        "change",
        ["bundle", "threads", "limit", "precision", "CPU", "package", "bedside"],
    )
    def test_measures_again_where_anything_is_another(self, workshop, write, cached, monkeypatch, change):
        bundle, asked = write(*ALL), {"engine": "openvino", "threads": 1}
        open_for_bundle(bundle, **asked)
        if change == "bundle":
            bundle = write(FP32, ("openvino", "int8", True))
        elif change == "CPU":
            monkeypatch.setattr(engine_choice, "cpu_identity", lambda: "another")
        elif change == "package":
            monkeypatch.setattr(engine_choice, "version", lambda package: "9.9")
        elif change == "bedside":
            monkeypatch.setattr(engine_choice, "__version__", "9.9")
        else:
            asked |= {"threads": {"threads": 3}, "limit": {"memory_limit": 2**40}, "precision": {"precision": "int8"}}[
                change
            ]
        workshop.windows = 0
        open_for_bundle(bundle, **asked)
        assert workshop.windows > 0

    @pytest.mark.parametrize("content", [b"{", b"{}", b'{"setting": {"engine": "openvino", "precision": 8}}'])
    def test_measures_again_where_the_record_is_damaged(self, workshop, write, cached, content):
        bundle = write(*ALL)
        first = open_for_bundle(bundle).choice
        (record,) = cached.glob("*.json")
        record.write_bytes(content)
        workshop.windows = 0
        open_for_bundle(bundle)
        assert workshop.windows > 0
        assert json.loads(record.read_bytes())["threads"] == first.threads  # and mends it

    def test_a_failed_self_test_is_not_remembered_as_passed(self, workshop, write, cached):
        workshop.wrong.add(("openvino", "fp32"))
        for _ in range(2):
            with pytest.raises(BundleError, match="self-test"):
                open_for_bundle(write(FP32), "openvino", threads=1)
        assert not cached.exists() or list(cached.iterdir()) == []


@pytest.mark.parametrize("streams", [1, 2])
def test_real_engines_repeat_to_the_bit_after_the_choice_is_remembered(bundle_path, cached, streams):
    patch = np.random.default_rng(1).random((1, 1, 8, 12, 16), np.float32)
    results = []
    for _ in range(2):
        with Segmenter.load(bundle_path, threads=streams) as segmenter:
            results.append((segmenter.choice, segmenter.engine.infer(patch)))
    assert results[0][0] == results[1][0]
    assert np.array_equal(results[0][1], results[1][1])
    assert len(list(cached.glob("*.json"))) == 1
