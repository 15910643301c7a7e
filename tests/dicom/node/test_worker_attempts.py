"""What a worker tries again, how often, and what it says when it gives up."""

from __future__ import annotations

import logging
import time

import msgspec
import pytest
from bedside.dicom.node.outcome import State
from bedside.dicom.node.peer import PeerCaller
from bedside.processes.signals import Terminated
from bedside.runtime.errors import Cancelled, ResourceError
from bedside.runtime.segmenter import Segmenter

from . import parties
from .queued import outcome, put, work_again


def no_memory(*_, **__):
    raise ResourceError("memory ran out")


def test_a_series_that_fails_before_its_start_is_recorded_is_given_up_after_the_attempts(work, tmp_path, monkeypatch):
    worker, queue = work(attempts=2, count_from="pacs")
    put(queue, parties.series(tmp_path / "ct", 3))
    monkeypatch.setattr(PeerCaller, "count", lambda *_: {}["a fault"])
    worker.work()
    work_again(worker, queue)
    assert outcome(queue).state is State.REFUSED
    assert outcome(queue).message == "given up after 2 attempts: KeyError"


def test_want_of_memory_is_tried_again_and_given_up_after_the_attempts(work, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, logger="bedside.node")
    worker, queue = work(attempts=2)
    put(queue, parties.series(tmp_path / "ct", 3))

    monkeypatch.setattr(Segmenter, "reserve", no_memory)
    worker.work()
    assert outcome(queue).state is State.STARTED
    assert queue.due(time.monotonic()) == []
    work_again(worker, queue)
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
    work_again(worker, queue)
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
    work_again(worker, queue)
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


@pytest.mark.parametrize("what", ["bedside.dicom.series._decoded", "bedside.dicom.references.complete_headers"])
def test_memory_that_runs_out_in_the_midst_of_the_work_is_one_attempt(work, tmp_path, monkeypatch, what):
    worker, queue = work(attempts=3)
    put(queue, parties.series(tmp_path / "ct", 3))

    def short(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(what, short)
        worker.work()
    assert (outcome(queue).state, outcome(queue).attempts) == (State.STARTED, 1)
    work_again(worker, queue)
    assert outcome(queue).state is State.DONE


def test_a_busy_machine_has_up_to_five_minutes_between_two_attempts(work, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, logger="bedside.node")
    worker, queue = work(attempts=11)
    put(queue, parties.series(tmp_path / "ct", 3))

    monkeypatch.setattr(Segmenter, "reserve", no_memory)
    for _ in range(10):
        work_again(worker, queue)
    waits = [float(line.rpartition("tried again in ")[2].split()[0]) for line in caplog.messages]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
