"""Engines are faked at the outermost seam: as packages in the engine table, whose speed is known."""

from __future__ import annotations

import logging

import pytest
from bedside.runtime import (
    Bundle,
    BundleError,
    Segmenter,
    UsageError,
    write_manifest,
)
from bedside.runtime.bundles.figures import TimedMachine
from bedside.runtime.bundles.variant import Variant
from bedside.runtime.engine_selection import engine_choice, trials
from bedside.runtime.engine_selection.engine_choice import open_for_bundle
from bedside.runtime.engine_selection.engine_request import EngineRequest
from bedside.runtime.engine_selection.machine_identity import machine_identity
from bedside.runtime.engine_selection.trials import Setting
from bedside.runtime.engines import InferenceDevice

from .fake_engines import ALL, FP32

OPENVINO = EngineRequest(engine="openvino", threads=1)
OPENVINO_2 = EngineRequest(engine="openvino", threads=2)
OPENVINO_INT8 = EngineRequest(engine="openvino", precision="int8", threads=1)
ANY_ENGINE = EngineRequest(threads=1)


class TestTheFastest:
    @pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int8-bf16"])
    def test_precision_is_taken(self, workshop, write, precision):
        workshop.seconds["openvino", precision] = 0.002
        assert open_for_bundle(write(*ALL), OPENVINO).choice.setting == Setting("openvino", precision)

    @pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
    def test_engine_is_taken(self, workshop, write, engine):
        workshop.seconds[engine, "fp32"] = 0.002
        assert open_for_bundle(write(FP32, ("onnxruntime", "fp32", None)), ANY_ENGINE).engine.name == engine

    def test_number_of_streams_is_taken(self, workshop, write):
        opened = open_for_bundle(write(FP32), OPENVINO_2)  # two at a time in the time of one
        assert (opened.engine.parallel, opened.choice.setting.streams) == (2, 2)

    @pytest.mark.parametrize(("together", "streams"), [(0.105, 2), (0.115, 1)])
    def test_streams_that_gain_nothing_are_taken_unless_clearly_slower(self, workshop, write, together, streams):
        workshop.seconds["openvino", "fp32"] = 0.100
        workshop.together["openvino", "fp32", 2] = together
        assert open_for_bundle(write(FP32), OPENVINO_2).choice.setting.streams == streams

    def test_a_gain_below_a_tenth_does_not_replace_the_exact_one(self, workshop, write):
        workshop.seconds.update({("openvino", "fp32"): 0.100, ("openvino", "int8"): 0.091})
        bundle = write(FP32, ("openvino", "int8", True))
        assert open_for_bundle(bundle, OPENVINO).engine.precision == "fp32"

    @pytest.mark.parametrize(("seconds", "taken"), [(0.0071, "bf16"), (0.0060, "int8-bf16")])
    def test_the_more_exact_of_two_is_taken_unless_the_other_is_clearly_faster(self, workshop, write, seconds, taken):
        times = {"fp32": 0.0102, "int8-bf16": seconds, "bf16": 0.0067}
        workshop.seconds.update({("openvino", precision): seconds for precision, seconds in times.items()})
        bundle = write(*(("openvino", precision, True) for precision in times))
        choice = open_for_bundle(bundle, OPENVINO).choice
        assert [trial.setting.precision for trial in choice.trials] == ["fp32", "int8-bf16", "bf16"]
        assert choice.setting.precision == taken

    def test_only_the_chosen_engine_stays_open(self, workshop, write):
        workshop.seconds["openvino", "bf16"] = 0.002
        opened = open_for_bundle(write(*ALL), EngineRequest(threads=2))
        assert len(workshop.opened) > 3
        assert workshop.open_now == [opened.engine]

    def test_the_choice_tells_what_was_measured(self, workshop, write, caplog):
        workshop.seconds.update({("openvino", "fp32"): 0.080, ("openvino", "int8"): 0.020})
        with caplog.at_level(logging.INFO, "bedside"):
            choice = open_for_bundle(write(FP32, ("openvino", "int8", True)), OPENVINO).choice
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
        open_for_bundle(write(FP32, ("openvino", precision, passed)), EngineRequest(threads=2))
        assert {setting.precision for setting in workshop.opened} == {"fp32"}

    def test_what_passed_with_another_engine_does_not_count(self, workshop, write):
        open_for_bundle(write(FP32, ("onnxruntime", "int8", True)), OPENVINO)
        assert workshop.opened == [Setting("openvino", "fp32")]

    def test_an_engine_that_the_exporting_machine_lacked_runs_what_passed_with_another(self, workshop, write):
        """As TensorRT does on a Jetson, with a bundle that a PC exported."""
        workshop.seconds["openvino", "int8"] = 0.002
        bundle = write(("onnxruntime", "fp32", True), ("onnxruntime", "int8", True))
        assert open_for_bundle(bundle, OPENVINO).choice.setting == Setting("openvino", "int8")

    def test_its_self_test_has_to_agree(self, workshop, write):
        workshop.seconds["openvino", "int8"] = 0.002
        workshop.wrong.add(("openvino", "int8"))
        bundle = write(("onnxruntime", "fp32", True), ("onnxruntime", "int8", True))
        assert open_for_bundle(bundle, OPENVINO).choice.setting == Setting("openvino", "fp32")

    @pytest.mark.parametrize(("passed", "taken"), [(True, "fp16"), (False, "fp32"), (None, "fp32")])
    def test_fp16_that_passed_with_another_engine_counts(self, workshop, write, passed, taken):
        """As on a PC's graphics, which the exporting machine lacked."""
        workshop.seconds["openvino", "fp16"] = 0.002
        bundle = write(FP32, ("onnxruntime", "fp16", passed))
        assert open_for_bundle(bundle, OPENVINO).engine.precision == taken

    def test_fp16_that_failed_with_this_engine_is_not_run_with_anothers_file(self, workshop, write):
        workshop.seconds["openvino", "fp16"] = 0.002
        bundle = write(FP32, ("onnxruntime", "fp16", True), left_out=[("openvino", "fp16", False)])
        assert open_for_bundle(bundle, OPENVINO).engine.precision == "fp32"

    @pytest.mark.parametrize("self_test", [True, False])
    def test_a_named_precision_that_failed_with_one_engine_runs_with_the_other(self, workshop, write, self_test):
        bundle = write(FP32, ("onnxruntime", "int8", True), left_out=[("openvino", "int8", False)])
        asked = EngineRequest(precision="int8", threads=1, self_test=self_test)
        assert open_for_bundle(bundle, asked).engine.name == "onnxruntime"

    def test_fp32_that_failed_is_not_chosen_either(self, workshop, write):
        bundle = write(("openvino", "fp32", False), ("onnxruntime", "fp32", True))
        assert open_for_bundle(bundle, ANY_ENGINE).engine.name == "onnxruntime"
        with pytest.raises(BundleError, match="no variant of the bundle passed its gate; export it again, or name"):
            open_for_bundle(bundle, OPENVINO)

    def test_what_is_named_runs_whatever_the_gate_said(self, workshop, write):
        bundle = write(FP32, ("openvino", "int8", False))
        assert open_for_bundle(bundle, OPENVINO_INT8).engine.precision == "int8"

    def test_a_forged_record_does_not_bring_in_what_failed(self, workshop, write, cached):
        bundle = write(FP32, ("openvino", "int8", False))
        open_for_bundle(bundle, OPENVINO)
        (record,) = cached.glob("*.json")
        record.write_text(record.read_text().replace("fp32", "int8"))
        assert open_for_bundle(bundle, OPENVINO).engine.precision == "fp32"


class TestTheTimesOfTheExport:
    """The bundle says that int8 took 79 ms where fp32 took 80: less than 5 % faster."""

    @pytest.fixture
    def exported(self, workshop, toy, task, tmp_path):
        """Writes and opens a bundle that was timed on a machine."""

        def bundle(identity: str, int8_ms: float = 79.0, device: str = "CPU") -> Bundle:
            path = toy.write_bundle(tmp_path / "timed.bedside", task)
            fields = {
                "file": "model.fp32.onnx", "passed": True, "golden_agreement": 1.0, "timed_device": device,
            }  # fmt: skip
            variants = (
                Variant(precision="fp32", engine="openvino", ms_per_window=80.0, **fields),
                Variant(precision="int8", engine="openvino", ms_per_window=int8_ms, **fields),
                Variant(precision="fp32", engine="onnxruntime", ms_per_window=300.0, **fields),
                Variant(precision="int8", engine="onnxruntime", ms_per_window=100.0, **fields),
            )
            machine = TimedMachine(identity=identity, cpu="Some CPU", threads=1)
            write_manifest(path, toy.manifest(task, variants, timed_on=machine))
            return Bundle.open(path)

        workshop.seconds.update({("openvino", "int8"): 0.001, ("onnxruntime", "int8"): 0.001})
        return bundle

    def test_what_is_not_worth_it_is_not_tried_on_the_same_machine(self, workshop, exported):
        with exported(machine_identity(1)) as bundle:
            assert open_for_bundle(bundle, OPENVINO).engine.precision == "fp32"
        assert {setting.precision for setting in workshop.opened} == {"fp32"}

    @pytest.mark.parametrize("threads", [1, 2])
    def test_on_another_machine_its_own_trials_decide(self, workshop, exported, threads):
        with exported("0" * 64 if threads == 1 else machine_identity(1)) as bundle:
            assert open_for_bundle(bundle, EngineRequest(engine="openvino", threads=threads)).engine.precision == "int8"

    @pytest.mark.parametrize("device", ["", "GPU, Arc, driver 24.1"])
    def test_times_of_another_or_an_unknown_device_leave_nothing_out(self, workshop, exported, device):
        with exported(machine_identity(1), device=device) as bundle:
            assert open_for_bundle(bundle, OPENVINO).engine.precision == "int8"

    @pytest.mark.parametrize(("software", "precision"), [("driver 24.1", "fp32"), ("driver 24.2", "int8")])
    def test_times_of_a_card_hold_with_its_driver_alone(self, workshop, exported, software, precision):
        workshop.cards = (InferenceDevice("GPU", (), "Arc", software),)
        with exported(machine_identity(1), device="GPU, Arc, driver 24.1") as bundle:
            opened = open_for_bundle(bundle, EngineRequest(engine="openvino", threads=1, device="GPU"))
            assert (opened.engine.precision, opened.choice.setting.device) == (precision, "GPU")

    def test_what_is_worth_it_is_tried(self, workshop, exported):
        with exported(machine_identity(1), int8_ms=75.0) as bundle:
            assert open_for_bundle(bundle, OPENVINO).engine.precision == "int8"

    def test_it_is_compared_with_what_the_caller_would_accept(self, workshop, exported):
        """int8 of ONNX Runtime is slower than fp32 of OpenVINO, and three times as fast as its own fp32."""
        with exported(machine_identity(1)) as bundle:
            assert open_for_bundle(bundle, EngineRequest(engine="onnxruntime", threads=1)).engine.precision == "int8"

    def test_what_is_named_runs_all_the_same(self, workshop, exported):
        with exported(machine_identity(1)) as bundle:
            assert open_for_bundle(bundle, OPENVINO_INT8).engine.precision == "int8"


class TestTheSelfTest:
    def test_who_fails_it_is_not_taken_however_fast(self, workshop, write):
        workshop.seconds["openvino", "int8"] = 0.0
        workshop.wrong.add(("openvino", "int8"))
        choice = open_for_bundle(write(FP32, ("openvino", "int8", True)), OPENVINO).choice
        assert choice.setting == Setting("openvino", "fp32")
        assert "self-test with openvino int8 failed on this machine" in choice.trials[1].note

    def test_where_the_default_fails_another_engine_may_stand_in(self, workshop, write):
        workshop.wrong.add(("openvino", "fp32"))
        bundle = write(FP32, ("onnxruntime", "fp32", None))
        assert open_for_bundle(bundle, ANY_ENGINE).engine.name == "onnxruntime"

    def test_where_all_fail_the_defaults_error_is_raised_and_nothing_stays_open(self, workshop, write):
        workshop.wrong.update({("openvino", "fp32"), ("onnxruntime", "fp32")})
        with pytest.raises(BundleError, match="self-test with openvino fp32 failed"):
            open_for_bundle(write(FP32, ("onnxruntime", "fp32", None)), ANY_ENGINE)
        assert workshop.open_now == []

    def test_who_finds_no_room_is_left_out(self, workshop, write):
        workshop.full.add(("openvino", "int8"))
        choice = open_for_bundle(write(FP32, ("openvino", "int8", True)), OPENVINO).choice
        assert (choice.setting.precision, choice.trials[1].note) == ("fp32", "no room")

    def test_an_interruption_leaves_nothing_open(self, workshop, write, monkeypatch):
        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(trials.GoldenTest, "check", interrupt)
        with pytest.raises(KeyboardInterrupt):
            open_for_bundle(write(*ALL), EngineRequest(threads=2))
        assert workshop.open_now == []

    def test_without_it_the_default_is_opened_and_nothing_measured(self, workshop, write, cached):
        workshop.wrong.add(("openvino", "fp32"))
        opened = open_for_bundle(write(*ALL), EngineRequest(threads=2, self_test=False))
        assert workshop.opened == [opened.choice.setting] == [Setting("openvino", "fp32")]
        assert not cached.exists()


class TestWhatIsAskedFor:
    def test_engine_precision_and_threads_leave_nothing_to_measure(self, workshop, write):
        open_for_bundle(write(*ALL), EngineRequest(engine="openvino", precision="bf16", threads=2))
        assert workshop.opened == [Setting("openvino", "bf16", 1)]

    def test_beside_them_devices_alone_are_compared(self, workshop, write):
        workshop.cards = (InferenceDevice("GPU", ()),)
        opened = open_for_bundle(write(*ALL), EngineRequest(engine="openvino", precision="bf16", threads=2))
        tried = [
            (trial.setting.precision, trial.setting.streams, trial.setting.device) for trial in opened.choice.trials
        ]
        assert tried == [("bf16", 1, "CPU"), ("bf16", 1, "GPU")]

    def test_a_named_precision_is_kept(self, workshop, write):
        workshop.seconds["openvino", "int8"] = 0.0
        open_for_bundle(write(*ALL), EngineRequest(precision="bf16"))
        assert {setting.precision for setting in workshop.opened} == {"bf16"}

    def test_a_named_engine_is_kept(self, workshop, write):
        open_for_bundle(write(FP32, ("onnxruntime", "fp32", None)), EngineRequest(engine="onnxruntime"))
        assert {setting.engine for setting in workshop.opened} == {"onnxruntime"}

    def test_a_named_precision_goes_to_the_engine_that_has_it(self, workshop, write):
        workshop.unable.add(("openvino", "bf16"))
        bundle = write(FP32, ("onnxruntime", "bf16", True))
        assert open_for_bundle(bundle, EngineRequest(precision="bf16", threads=1)).engine.name == "onnxruntime"

    def test_a_precision_that_the_machine_lacks_is_refused(self, workshop, write):
        workshop.unable.update({("openvino", "bf16"), ("onnxruntime", "bf16")})
        with pytest.raises(UsageError, match="openvino does not compute in bf16 on this machine"):
            open_for_bundle(write(*ALL), EngineRequest(precision="bf16", threads=1))
        assert open_for_bundle(write(*ALL), ANY_ENGINE).engine.precision != "bf16"

    def test_a_precision_that_the_bundle_lacks_is_refused(self, workshop, write):
        with pytest.raises(BundleError, match="the bundle has no int8 model; it has: openvino fp32"):
            open_for_bundle(write(FP32), EngineRequest(precision="int8", threads=1))

    def test_a_named_device_is_kept(self, workshop, write):
        opened = open_for_bundle(write(*ALL), EngineRequest(engine="openvino", threads=1, device="CPU"))
        assert opened.choice.setting.device == "CPU"

    def test_a_device_that_is_not_there_is_refused(self, write):
        with pytest.raises(UsageError, match='device: expected CPU, got "NPU"'):
            open_for_bundle(write(FP32), EngineRequest(engine="openvino", threads=1, device="NPU"))

    def test_without_an_engine_the_command_is_told(self, write, monkeypatch):
        monkeypatch.setattr(engine_choice, "available_engines", list)
        with pytest.raises(UsageError, match="no engine is installed; run: pip install onnxruntime"):
            open_for_bundle(write(FP32), EngineRequest())

    @pytest.mark.parametrize(("threads", "streams"), [(1, ()), (2, (2,)), (6, (3,)), (7, ()), (16, (4,))])
    def test_streams_share_the_threads_evenly(self, threads, streams):
        assert engine_choice._more_streams(threads) == streams
