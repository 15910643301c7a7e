"""A kept worker takes one item at a time and remembers; the process ends with the block."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import psutil
import pytest
from bedside.processes.kept_worker import KeptWorker

from ..dicom.node.parties import wait_until

WORK = """
import os, signal, threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

def signal_to_another_thread():
    # Python notes SIGTERM, and the main thread's read goes on, as where the signal comes just before the read.
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

@dataclass(frozen=True)
class Summing:
    log: Path = Path(os.devnull)
    cleans_up: bool = True
    advice: str = "do less"

    @contextmanager
    def ready(self):
        self_sum = [0]
        def add(item, progress):
            if item == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if item == "wrong":
                raise ValueError("no number")
            if item == "deaf":
                signal_to_another_thread()
                return os.getpid()
            progress(1, 2)
            self_sum[0] += item
            return self_sum[0], os.getpid()
        try:
            yield add
        finally:
            self.log.write_text("cleaned up")

    def failed(self, item, reason):
        return reason
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    (tmp_path / "kept_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    import importlib

    return importlib.import_module("kept_work").Summing()


def test_one_process_takes_all_items_and_remembers(work):
    steps = []
    with KeptWorker(work) as worker:
        first, process = worker.run(1, lambda done, total: steps.append((done, total)))
        second, same = worker.run(2)
    assert (first, second, steps) == (1, 3, [(1, 2)])
    assert process == same != os.getpid()
    assert not psutil.pid_exists(process)


def test_two_workers_take_turns(work):
    with KeptWorker(work) as one, KeptWorker(work) as other:
        assert [one.run(1)[0], other.run(10)[0], one.run(1)[0], other.run(10)[0]] == [1, 10, 2, 20]


def test_an_item_whose_process_dies_fails_and_so_do_those_after_it(work):
    with KeptWorker(work) as worker:
        worker.run(1)
        assert "out of memory?" in worker.run("die")
        assert worker.died
        assert "out of memory?" in worker.run(1)


def test_a_process_that_dies_between_two_items_is_noticed_before_the_next(work):
    with KeptWorker(work) as worker:
        assert not worker.died
        _, process = worker.run(1)
        assert not worker.died
        psutil.Process(process).kill()
        assert wait_until(lambda: worker.died)
        assert worker.process_id is None
        assert worker.reason == "its process was killed by signal 9 (out of memory?); do less" == worker.run(1)


def test_whether_the_process_received_the_last_item_is_known(work):
    with KeptWorker(work) as worker:
        worker.run(1)
        assert worker.received
        worker.run("die")
        assert worker.received
    with KeptWorker(work) as worker:
        _, process = worker.run(1)
        psutil.Process(process).suspend()
        threading.Timer(0.2, psutil.Process(process).kill).start()
        assert "out of memory?" in worker.run(1)
        assert not worker.received


def test_what_the_worker_raises_is_raised(work):
    with KeptWorker(work) as worker, pytest.raises(ValueError, match="no number"):
        worker.run("wrong")


def test_the_item_after_one_that_was_left_early_does_not_get_its_result(work):
    def stop(done, total):
        raise KeyError("enough")

    with KeptWorker(work) as worker:
        _, process = worker.run(1)
        with pytest.raises(KeyError, match="enough"):
            worker.run(10, stop)
        assert worker.died
        assert worker.run(100) == "its process was ended"
        assert not psutil.pid_exists(process)


def test_an_idle_process_that_waits_for_its_next_item_with_the_signal_ends_and_cleans_up(work, tmp_path):
    work = replace(work, log=tmp_path / "log")
    with KeptWorker(work) as worker:
        process = worker.run("deaf")
        assert wait_until(lambda: psutil.Process(process).status() == psutil.STATUS_SLEEPING)
    assert (tmp_path / "log").read_text() == "cleaned up"


def test_an_unused_worker_starts_no_process(work, children):
    with KeptWorker(work):
        assert children() == []
