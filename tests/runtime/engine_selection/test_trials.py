"""How many settings are tried, how often each is timed, and which of them memory and time leave out."""

import pytest
from bedside.runtime.engine_selection import trials
from bedside.runtime.engine_selection.engine_choice import open_for_bundle
from bedside.runtime.engine_selection.engine_request import EngineRequest
from bedside.runtime.engine_selection.trials import Candidate, Setting

from .fake_engines import ALL, FP32

OPENVINO = EngineRequest(engine="openvino", threads=1)


@pytest.mark.parametrize(
    ("best", "ms", "other", "other_ms", "replaces"),
    [
        (("fp32", 1), 100, ("int8", 1), 91, False),  # less accurate: it has to be clearly faster
        (("fp32", 1), 100, ("int8", 1), 89, True),
        (("int8", 1), 100, ("fp32", 1), 110, True),  # more accurate: it may be a little slower
        (("int8", 1), 100, ("fp32", 1), 112, False),
        (("fp32", 1), 100, ("fp32", 2), 110, True),  # a scan keeps two streams busier than one
        (("fp32", 2), 100, ("fp32", 1), 91, False),
    ],
)
def test_a_tenth_of_the_time_outweighs_accuracy_and_streams(best, ms, other, other_ms, replaces):
    first, second = (Setting("openvino", *setting) for setting in (best, other))
    assert Candidate(None, second, other_ms).replaces(Candidate(None, first, ms)) is replaces


@pytest.mark.parametrize(("streams", "text"), [(1, "openvino int8"), (2, "openvino int8 in 2 streams")])
def test_a_setting_is_named_with_its_streams_where_there_are_several(streams, text):
    assert str(Setting("openvino", "int8", streams)) == text


def test_the_reason_says_why_a_faster_setting_was_not_taken_and_which_had_no_time(workshop, write, monkeypatch):
    monkeypatch.setattr(trials, "BUDGET_SECONDS", 2.0)
    workshop.seconds.update({("openvino", "fp32"): 0.4, ("openvino", "int8"): 0.6, ("openvino", "int8-bf16"): 0.56})
    bundle = write(FP32, ("openvino", "int8-bf16", True), ("openvino", "int8", True))
    choice = open_for_bundle(bundle, EngineRequest(engine="openvino", threads=2)).choice
    assert choice.reason == (
        "openvino int8 in 2 streams: 300 ms per window (openvino fp32 in 1 stream 400 ms; openvino int8-bf16 in 2 "
        "streams 280 ms; openvino int8 in 1 stream not measured, for want of time); a less exact setting, or fewer "
        "streams, would have to be 10 % faster"
    )


class TestSparingTime:
    def test_after_the_default_candidates_are_first_tried_in_all_their_streams(self, workshop, write):
        open_for_bundle(write(FP32, ("openvino", "int8", True)), EngineRequest(engine="openvino", threads=2))
        assert [(each.precision, each.streams) for each in workshop.opened] == [("fp32", 1), ("int8", 2), ("int8", 1)]

    def test_what_would_end_too_late_is_not_begun(self, workshop, write, monkeypatch):
        monkeypatch.setattr(trials, "BUDGET_SECONDS", 0.0)
        workshop.seconds.update({("openvino", "fp32"): 0.4, ("openvino", "int8-bf16"): 0.6})
        choice = open_for_bundle(write(*ALL), OPENVINO).choice
        assert len(workshop.opened) == 2  # of 3.5 · 0.4 s, 1.0 are gone, and the next might take 0.6
        assert [trial.note for trial in choice.trials[2:]] == ["not measured, for want of time"] * 2

    def test_an_engine_that_is_far_behind_is_not_measured_further(self, workshop, write):
        workshop.seconds["onnxruntime", "fp32"] = 0.09  # six times the other's
        bundle = write(FP32, ("onnxruntime", "fp32", None), ("onnxruntime", "int8", True))
        choice = open_for_bundle(bundle, EngineRequest(threads=1)).choice
        assert choice.trials[2].setting == Setting("onnxruntime", "int8")
        assert choice.trials[2].note == "not measured, its engine is too slow"

    def test_short_windows_are_timed_more_than_once(self, workshop, write):
        open_for_bundle(write(FP32), OPENVINO)
        assert workshop.windows == 5

    def test_a_long_window_is_run_once(self, workshop, write):
        workshop.seconds["openvino", "fp32"] = 0.25
        open_for_bundle(write(FP32), OPENVINO)
        assert workshop.windows == 1


class TestSparingMemory:
    @pytest.fixture
    def workspace(self, workshop, monkeypatch):
        """Makes a window take 100 MiB in the books."""
        held = iter(range(1, 1000))
        monkeypatch.setattr(trials, "resident_bytes", lambda: next(held) * 100 * 2**20)

    def test_further_streams_are_left_out_where_they_would_take_more_than_a_quarter(
        self, workspace, workshop, write, monkeypatch
    ):
        monkeypatch.setattr(trials, "free_memory", lambda: 350 * 2**20)
        choice = open_for_bundle(write(FP32), EngineRequest(engine="openvino", threads=2)).choice
        assert (choice.setting.streams, choice.trials[1].note) == (1, "not measured, for want of memory")

    def test_and_are_tried_where_there_is_room(self, workspace, workshop, write, monkeypatch):
        monkeypatch.setattr(trials, "free_memory", lambda: 450 * 2**20)
        assert open_for_bundle(write(FP32), EngineRequest(engine="openvino", threads=2)).choice.setting.streams == 2

    def test_the_callers_limit_counts_like_the_machines(self, workspace, workshop, write, monkeypatch):
        monkeypatch.setattr(trials, "free_memory", lambda: 2**40)
        choice = open_for_bundle(
            write(FP32), EngineRequest(engine="openvino", threads=2, memory_limit=700 * 2**20)
        ).choice
        assert choice.trials[1].note == "not measured, for want of memory"  # 300 MiB are left

    def test_a_setting_that_runs_out_of_memory_is_passed_over_and_closed(self, workshop, write, monkeypatch):
        real = trials.GoldenTest.check

        def check(test, logits, engine, variant):
            if variant.precision == "bf16":
                raise MemoryError
            real(test, logits, engine, variant)

        monkeypatch.setattr(trials.GoldenTest, "check", check)
        choice = open_for_bundle(write(FP32, ("openvino", "bf16", True)), OPENVINO).choice
        assert (choice.setting.precision, choice.trials[1].note) == ("fp32", "not enough memory")
        assert len(workshop.open_now) == 1
