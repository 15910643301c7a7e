"""What fails to enter the queue is tried again, holds up no other association, and lets no series count as complete."""

from __future__ import annotations

import logging
import shutil
import time

import pydicom
import pytest
from bedside.dicom.node.collector import Collector
from bedside.dicom.node.queue import Queue
from bedside.runtime.errors import ResourceError

from . import parties


@pytest.fixture
def collected(tmp_path, association):
    """Returns a queue, its collector, and a series that an association has sent whole."""
    files = parties.series(tmp_path / "ct", 3)
    for file in files:
        shutil.copy(file, association / "files")
    with Queue.open(tmp_path / "queue", quiet_seconds=0) as queue:
        yield queue, Collector(queue, 60), files


@pytest.fixture
def last_fails(monkeypatch, collected):
    """Does not let the queue take the last instance of the series, until the returned function is called."""
    put, last = Queue.put, pydicom.dcmread(collected[2][-1]).SOPInstanceUID

    def put_or_fail(self, name, *words, **options):
        if name.instance == last:
            raise ResourceError("the disk is full")
        return put(self, name, *words, **options)

    monkeypatch.setattr(Queue, "put", put_or_fail)
    return monkeypatch.undo


def test_no_series_is_complete_while_something_that_was_received_is_not_in_the_queue(collected, last_fails):
    queue, collector, files = collected
    collector.take()
    collector.take()
    (series,) = queue
    assert len(series.instances) == len(files) - 1
    assert queue.due(time.monotonic() + 1000) == []
    last_fails()
    collector.take()
    assert queue.due(time.monotonic() + 1000) == []  # more may have come since the look at what there is
    collector.take()
    assert queue.due(time.monotonic() + 1000) == [series]
    assert len(series.instances) == len(files)


def test_what_cannot_be_taken_is_logged_once_until_it_is_taken(collected, last_fails, caplog):
    caplog.set_level(logging.WARNING, "bedside.node")
    _, collector, _ = collected
    for _ in range(3):
        collector.take()
    assert caplog.text.count("what storescp received cannot be taken yet (ResourceError)") == 1


def test_a_fault_in_one_association_holds_up_no_other(collected, tmp_path):
    queue, collector, _ = collected
    (queue.incoming / "association" / "lock").write_text("no number")
    other = tmp_path / "other"
    (other / "files").mkdir(parents=True)
    (file, *_) = parties.series(tmp_path / "ct4", 4)
    shutil.copy(file, other / "files")
    collector.add(other)
    collector.take()
    assert [len(series.instances) for series in queue] == [1]
