"""A series becomes a result, waits, or is refused with a reason; one that grew is segmented once more."""

from __future__ import annotations

import logging
import re
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pydicom
import pytest
from bedside.dicom.node.accepted import InstanceName
from bedside.dicom.node.config import load_node_config
from bedside.dicom.node.outcome import State
from bedside.dicom.node.peer import PeerCaller
from bedside.dicom.node.queue import Queue
from bedside.dicom.node.worker import Worker
from bedside.processes.signals import Terminated
from bedside.runtime.errors import Cancelled, InputError, ResourceError
from bedside.runtime.segmenter import Segmenter

from . import parties


@pytest.fixture
def work(bundle, tmp_path, peer):
    """Makes a worker whose rule is changed as a test needs it; returns it with its queue."""
    opened = ExitStack()

    def make(rule="", cancel=None, **node):
        path = parties.node_toml(tmp_path, bundle, 0, peer.port, rule=rule, **{"quiet_seconds": 0.0, **node})
        config = load_node_config(path)
        queue = opened.enter_context(Queue.open(Path(config.node.queue), quiet_seconds=0))
        segmenter = opened.enter_context(Segmenter.load(bundle, "onnxruntime", "fp32", 1))
        return Worker(config, queue, {str(bundle): segmenter}, PeerCaller(config), cancel), queue

    with opened:
        yield make


def put(queue, files):
    for file in files:
        made = pydicom.dcmread(file)
        name = InstanceName(made.PatientID, made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID)
        queue.put(name, Path(file).read_bytes())


def outcome(queue):
    (series,) = queue
    return series.outcome


def result(queue):
    (series,) = queue
    return pydicom.dcmread(series.result_folder / outcome(queue).pending[0].file)


def test_a_whole_series_has_a_result_to_deliver(work, tmp_path):
    worker, queue = work()
    assert not worker.work()
    put(queue, parties.series(tmp_path / "ct", 3))
    assert worker.work()
    assert outcome(queue).state is State.DONE
    assert outcome(queue).rule == "all"
    assert [each.peer for each in outcome(queue).pending] == ["pacs"]
    assert not worker.work()


@pytest.mark.parametrize(
    ("rule", "words"),
    [('modality = "MR"', r"no rule fits \(CT, axial, slices 2.5 mm apart"), ("slice_distance_mm = [5, 9]", "no rule")],
)
def test_a_series_that_no_rule_fits_is_refused(work, tmp_path, rule, words):
    worker, queue = work(rule)
    put(queue, parties.series(tmp_path / "ct", 3))
    worker.work()
    assert outcome(queue).state is State.REFUSED
    assert re.search(words, outcome(queue).message)
    assert outcome(queue).pending == ()


def test_a_header_that_holds_a_name_for_a_modality_is_not_repeated(work, tmp_path, caplog):
    worker, queue = work()
    put(queue, parties.series(tmp_path / "ct", 3, modality="DOE JANE"))
    worker.work()
    assert "no rule fits (another modality, axial" in outcome(queue).message
    assert "JANE" not in outcome(queue).message + caplog.text


def test_a_series_with_a_gap_is_refused_and_taken_up_when_the_rest_comes(work, tmp_path):
    worker, queue = work()
    files = parties.series(tmp_path / "ct", 3, slices=6)
    put(queue, [*files[:2], *files[3:]])
    worker.work()
    assert "1 slice is missing" in outcome(queue).message
    put(queue, files)
    assert worker.work()
    assert outcome(queue).state is State.DONE


def test_a_series_that_grew_has_a_second_result_that_supersedes_the_first(work, tmp_path):
    worker, queue = work()
    files = parties.series(tmp_path / "ct", 3)
    put(queue, files[:3])
    worker.work()
    first = result(queue)
    put(queue, files)
    assert worker.work()
    assert not worker.work()
    second = result(queue)
    assert (first.InstanceNumber, second.InstanceNumber) == (3, 4)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert len(second.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 4
    assert len(queue.pending()) == 1


def test_a_series_that_was_removed_and_comes_again_in_parts_has_no_two_results_of_one_number(work, tmp_path):
    worker, queue = work()
    files, made = parties.series(tmp_path / "ct", 3), []
    put(queue, files)
    worker.work()
    made.append(result(queue))
    for series, delivery in queue.pending():
        queue.delivered(series, delivery)
    assert queue.remove_finished(0) == 1
    for part in (files[:3], files):
        put(queue, part)
        worker.work()
        made.append(result(queue))
    assert [each.InstanceNumber for each in made] == [4, 3, 4]
    assert made[2].SOPInstanceUID == made[0].SOPInstanceUID


def test_a_result_that_waits_is_made_again_by_the_rule_as_it_is_now_and_a_delivered_one_is_not(work, tmp_path):
    worker, queue = work()
    put(queue, parties.series(tmp_path / "ct", 3))
    worker.work()
    first, (rule,) = result(queue), worker._config.rules

    def works_after_a_start(**changes):
        config = msgspec.structs.replace(worker._config, rules=(msgspec.structs.replace(rule, **changes),))
        started = Worker(config, queue, worker._segmenters, worker._caller)
        started.forget_outdated()
        return started.work()

    assert not works_after_a_start()
    assert works_after_a_start(binary=True)
    assert (first.SegmentationType, result(queue).SegmentationType) == ("LABELMAP", "BINARY")
    assert result(queue).SeriesInstanceUID == first.SeriesInstanceUID
    assert result(queue).SOPInstanceUID != first.SOPInstanceUID
    for series, delivery in queue.pending():
        queue.delivered(series, delivery)
    assert not works_after_a_start()


def test_a_result_that_is_made_again_has_the_same_uids(work, tmp_path):
    worker, queue = work()
    put(queue, parties.series(tmp_path / "ct", 3))
    worker.work()
    first, (series,) = result(queue), queue
    series.outcomes.clear()  # as if the node had been killed before its note
    assert worker.work()
    assert result(queue).SOPInstanceUID == first.SOPInstanceUID
    assert result(queue).SeriesInstanceUID == first.SeriesInstanceUID
    assert result(queue).InstanceNumber == first.InstanceNumber


def test_a_series_waits_until_the_counts_agree(work, tmp_path, peer):
    worker, queue = work(count_from="pacs", quiet_seconds=1.0)
    files = parties.series(tmp_path / "ct", 3)
    peer.counts = {"1.2.3.77.3": len(files)}
    put(queue, files[:3])
    worker.work()
    assert outcome(queue) is None
    assert queue.due(time.monotonic()) == []
    put(queue, files)
    (series,) = queue
    series.retry_at = 0
    worker.work()
    assert outcome(queue).state is State.DONE


def test_a_series_that_stays_short_is_refused(work, tmp_path, peer):
    worker, queue = work(count_from="pacs", longest_wait_seconds=0.0)
    peer.counts = {"1.2.3.77.3": 100}
    put(queue, parties.series(tmp_path / "ct", 3))
    worker.work()
    assert '4 instances arrived, "pacs" counts 100' in outcome(queue).message


@pytest.mark.parametrize("answer", ["knows no such series", "is away"])
def test_without_a_count_the_quiet_time_decides(work, tmp_path, peer, answer):
    worker, queue = work(count_from="pacs")
    if answer == "is away":
        peer.close()
    put(queue, parties.series(tmp_path / "ct", 3))
    worker.work()
    assert outcome(queue).state is State.DONE


def test_a_series_that_fails_before_its_start_is_recorded_is_given_up_after_the_attempts(work, tmp_path, monkeypatch):
    worker, queue = work(attempts=2, count_from="pacs")
    put(queue, parties.series(tmp_path / "ct", 3))
    monkeypatch.setattr(PeerCaller, "count", lambda *_: {}["a fault"])
    worker.work()
    (series,) = queue
    series.retry_at = 0
    worker.work()
    assert outcome(queue).state is State.REFUSED
    assert outcome(queue).message == "given up after 2 attempts: KeyError"


def test_want_of_memory_is_tried_again_and_given_up_after_the_attempts(work, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, logger="bedside.node")
    worker, queue = work(attempts=2)
    put(queue, parties.series(tmp_path / "ct", 3))

    def no_memory(*_, **__):
        raise ResourceError("memory ran out")

    monkeypatch.setattr(Segmenter, "reserve", no_memory)
    worker.work()
    assert outcome(queue).state is State.STARTED
    assert queue.due(time.monotonic()) == []
    (series,) = queue
    series.retry_at = 0
    worker.work()
    assert outcome(queue).state is State.REFUSED
    assert outcome(queue).message == "given up after 2 attempts: memory ran out"


def test_memory_of_the_results_is_part_of_what_a_series_needs(work, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, logger="bedside.node")
    worker, queue = work("contours = true")
    put(queue, parties.series(tmp_path / "ct", 3))  # the segmentation alone takes less than 1 MiB
    monkeypatch.setattr("bedside.runtime.memory.memory_limit.free_memory", lambda: 100 * 2**20)
    worker.work()
    assert outcome(queue).state is State.STARTED
    assert "MiB are free" in caplog.text
    monkeypatch.setattr("bedside.runtime.memory.memory_limit.free_memory", lambda: 2**30)
    (series,) = queue
    series.retry_at = 0
    worker.work()
    assert outcome(queue).state is State.DONE


def test_what_a_killed_node_had_started_is_given_up_after_the_attempts(work, tmp_path):
    worker, queue = work(attempts=3)
    put(queue, parties.series(tmp_path / "ct", 3))
    worker.work()
    (series,) = queue
    started = msgspec.structs.replace(outcome(queue), state=State.STARTED, attempts=3, pending=())
    queue.record(series, started)  # as if it had ended the process three times
    worker.work()
    assert outcome(queue).state is State.REFUSED
    assert "given up after 3 attempts" in outcome(queue).message


def test_a_result_that_the_disk_does_not_take_is_made_again(work, tmp_path, monkeypatch):
    worker, queue = work()
    put(queue, parties.series(tmp_path / "ct", 3))
    record, refused = queue.record, []

    def full(series, outcome):
        if outcome.state is State.DONE and not refused:
            refused.append(outcome)
            raise ResourceError("disk full")
        record(series, outcome)

    monkeypatch.setattr(queue, "record", full)
    worker.work()
    (series,) = queue
    series.retry_at = 0
    worker.work()
    assert outcome(queue).state is State.DONE
    assert len(refused) == 1


def test_a_fault_of_ours_is_logged_by_its_kind_and_not_its_words(work, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, logger="bedside.node")
    worker, queue = work()
    put(queue, parties.series(tmp_path / "ct", 3))
    monkeypatch.setattr(Segmenter, "reserve", lambda *_, **__: {}["CANARY"])
    worker.work()
    assert "KeyError" in caplog.text
    assert "CANARY" not in caplog.text


def test_a_cancelled_series_stays_to_be_taken_up(work, tmp_path):
    worker, queue = work(cancel=lambda: True)
    put(queue, parties.series(tmp_path / "ct", 3))
    with pytest.raises(Cancelled):
        worker.work()
    assert outcome(queue).state is State.STARTED


@pytest.mark.parametrize("stop", [Cancelled, KeyboardInterrupt, Terminated])
def test_a_stop_of_the_node_is_no_attempt(work, tmp_path, monkeypatch, stop):
    worker, queue = work(attempts=2)
    put(queue, parties.series(tmp_path / "ct", 3))

    def stopped(*_, **__):
        raise stop("")

    with monkeypatch.context() as patched:
        patched.setattr(Segmenter, "reserve", stopped)
        for _ in range(3):
            with pytest.raises(stop):
                worker.work()
    assert outcome(queue).attempts == 0
    worker.work()
    assert outcome(queue).state is State.DONE


def test_a_bundle_of_another_modality_refuses_by_its_own_checks(work, tmp_path, monkeypatch):
    worker, queue = work()
    put(queue, parties.series(tmp_path / "ct", 3))

    def refuses(*_, **__):
        raise InputError("the intensities are no CT")

    monkeypatch.setattr(Segmenter, "reserve", refuses)
    worker.work()
    assert outcome(queue).message == "the intensities are no CT"
