"""A pool of workers: every item comes back with its result, and no process outlives the need for it."""

from __future__ import annotations

import importlib
import logging
from contextlib import closing

import psutil
import pytest
from bedside.cli.processes.pool import run_in_workers
from bedside.runtime import BedsideError

# A worker imports what it is to do, so that stands in a file of its own.
ARITHMETIC = """
import os, signal, sys, time
from contextlib import contextmanager
from dataclasses import dataclass
from bedside.runtime import InputError

@dataclass(frozen=True)
class Reciprocals:
    refuse: bool = False
    unwinds: bool = True

    @contextmanager
    def ready(self):
        if self.refuse:
            raise InputError("numbers are out")
        yield self.do

    def do(self, item, progress):
        progress(1, 2)
        time.sleep(0.01)
        if item == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "sleep":
            self.sleep()
        return 1 / item

    def sleep(self):
        try:
            print("asleep", file=sys.stderr, flush=True)
            time.sleep(60)
        finally:
            print("removed", file=sys.stderr, flush=True)

    def lost(self, item, why):
        return why
"""


@pytest.fixture
def reciprocals(tmp_path, monkeypatch):
    (tmp_path / "bedside_test_arithmetic.py").write_text(ARITHMETIC)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("bedside_test_arithmetic").Reciprocals


def workers_alive():
    """Our child processes but the one that multiprocessing keeps for itself."""
    return [child for child in psutil.Process().children() if "resource_tracker" not in " ".join(child.cmdline())]


def test_every_item_comes_back_with_its_result_and_steps_are_told(reciprocals):
    steps = []
    found = dict(run_in_workers(reciprocals(), [1, 2, 4, 5, 8], 2, lambda done, total: steps.append((done, total))))
    assert found == {1: 1.0, 2: 0.5, 4: 0.25, 5: 0.2, 8: 0.125}
    assert set(steps) <= {(1, 2), (1, 4), (2, 4)}  # of one worker, or of both
    assert steps
    assert workers_alive() == []


def test_a_worker_that_dies_costs_its_item_and_is_replaced(reciprocals):
    found = dict(run_in_workers(reciprocals(), [2, "kill", 4, 5], 1))
    assert found.pop("kill") == (
        "its process died (killed by signal 9), perhaps for want of memory; take fewer --workers"
    )
    assert found == {2: 0.5, 4: 0.25, 5: 0.2}


def test_work_that_is_refused_as_a_whole_keeps_its_words_and_its_exit_code(reciprocals):
    with pytest.raises(BedsideError, match=r"^numbers are out$") as caught:
        list(run_in_workers(reciprocals(refuse=True), [1, 2], 2, first_alone=True))
    assert caught.value.exit_code == 3
    assert workers_alive() == []


def test_a_fault_in_a_worker_is_told_as_a_fault(reciprocals):
    with pytest.raises(BedsideError, match=r"a fault in bedside \(ZeroDivisionError") as caught:
        list(run_in_workers(reciprocals(), [0], 1))
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("unwinds", [True, False])
def test_leaving_the_loop_early_ends_the_workers(reciprocals, capfd, unwinds):
    told = ""
    with closing(run_in_workers(reciprocals(unwinds=unwinds), ["sleep", *range(1, 1000)], 2)) as results:
        while "asleep" not in told:
            assert next(results)[0] != "sleep"
            told += capfd.readouterr().err
        assert len(workers_alive()) == 2
    assert workers_alive() == []
    assert ("removed" in told + capfd.readouterr().err) == unwinds


@pytest.mark.parametrize("shown", [True, False])
def test_a_worker_says_where_it_failed_if_the_log_is_shown(reciprocals, capfd, caplog, shown):
    with caplog.at_level(logging.DEBUG if shown else logging.WARNING, "bedside"), pytest.raises(BedsideError):
        list(run_in_workers(reciprocals(), [0], 1))
    told = capfd.readouterr().err
    assert ("worker 1: ERROR:bedside:a worker failed: ZeroDivisionError" in told) == shown
    assert ("return 1 / item" in told) == shown
