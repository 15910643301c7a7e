"""Every item comes back with its result, and no process is left behind: the fixture checks that."""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import subprocess
import sys
from contextlib import closing

import pytest
from bedside.processes import worker_pool
from bedside.processes.worker import FIRST_LINE
from bedside.processes.worker_pool import run_in_workers
from bedside.runtime import InputError
from bedside.runtime.errors import MissingExtraError

# A worker imports its work, which is therefore in a file of its own.
ARITHMETIC = """
import os, signal, sys, time
from contextlib import contextmanager
from dataclasses import dataclass
from bedside.runtime import InputError
from bedside.runtime.errors import MissingExtraError

class Foreign(Exception):
    def __init__(self, *, number):
        super().__init__(f"number {number}")

@dataclass(frozen=True)
class Reciprocals:
    refuse: bool = False
    cleans_up: bool = True
    advice: str = "do less"

    @contextmanager
    def ready(self):
        if self.refuse:
            raise InputError("numbers are out")
        yield self.do

    def do(self, item, progress):
        progress(1, 2)
        time.sleep(0.01)
        if item in ("SIGKILL", "SIGSEGV"):
            os.kill(os.getpid(), getattr(signal, item))
        if item == "exit":
            print("the reason", file=sys.stderr, flush=True)
            os._exit(3)
        if item == "print":
            os.write(1, b"from an engine")
            item = 1
        if item == "extra":
            raise MissingExtraError("torch", "train")
        if item == "foreign":
            raise Foreign(number=5)
        if item == "sleep":
            self.sleep()
        return 1 / item

    def sleep(self):
        try:
            print("asleep", file=sys.stderr, flush=True)
            time.sleep(60)
        finally:
            print("removed", file=sys.stderr, flush=True)

    def failed(self, item, reason):
        return reason
"""


@pytest.fixture
def reciprocals(tmp_path, monkeypatch, children):
    (tmp_path / "bedside_test_arithmetic.py").write_text(ARITHMETIC)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("bedside_test_arithmetic").Reciprocals
    del sys.modules["bedside_test_arithmetic"]
    assert children() == []


def replace_worker(monkeypatch, code):
    begin = f"import os; os.write(1, {FIRST_LINE!r}); "
    monkeypatch.setattr(worker_pool, "worker_command", lambda: [sys.executable, "-c", begin + code])


def test_every_item_comes_back_with_its_result_and_steps_are_reported(reciprocals):
    steps = []
    found = dict(run_in_workers(reciprocals(), [1, 2, 4, 5, 8], 2, lambda done, total: steps.append((done, total))))
    assert found == {1: 1.0, 2: 0.5, 4: 0.25, 5: 0.2, 8: 0.125}
    assert set(steps) <= {(1, 2), (1, 4), (2, 4)}  # of one worker, or of both
    assert steps


def test_a_worker_that_is_killed_costs_its_item_and_is_replaced(reciprocals):
    found = dict(run_in_workers(reciprocals(), [2, "SIGKILL", 4, 5], 1))
    assert found.pop("SIGKILL") == "its process was killed by signal 9 (out of memory?); do less"
    assert found == {2: 0.5, 4: 0.25, 5: 0.2}


def test_a_crash_names_the_signal(reciprocals):
    found = dict(run_in_workers(reciprocals(), ["SIGSEGV"], 1, hide_stderr=True))
    assert found == {"SIGSEGV": "its process was killed by signal 11 (Segmentation fault)"}


@pytest.mark.parametrize(("hide", "last_line"), [(False, ""), (True, ": the reason")])
def test_a_worker_that_exits_gives_its_code_and_its_last_line_if_nobody_saw_it(reciprocals, capfd, hide, last_line):
    found = dict(run_in_workers(reciprocals(), ["exit"], 1, hide_stderr=hide))
    assert found == {"exit": f"its process ended with exit code 3{last_line}"}
    assert capfd.readouterr().err == ("" if hide else "the reason\n")


def test_a_worker_that_exits_without_a_word_is_reported_so(reciprocals, monkeypatch):
    replace_worker(monkeypatch, "pass")
    found = dict(run_in_workers(reciprocals(), [1], 1, hide_stderr=True))
    assert found == {1: "its process ended with exit code 0: it said nothing"}


def test_an_answer_that_cannot_be_read_costs_the_item(reciprocals, monkeypatch):
    replace_worker(monkeypatch, "print('Segmentation fault', flush=True); import time; time.sleep(60)")
    found = dict(run_in_workers(reciprocals(), [1], 1))
    assert found[1].startswith("its process gave an answer that cannot be read (")


def test_what_an_engine_prints_is_no_answer(reciprocals, capfd):
    assert dict(run_in_workers(reciprocals(), ["print"], 1)) == {"print": 1.0}
    assert capfd.readouterr() == ("", "from an engine")


def test_work_that_is_refused_as_a_whole_raises_the_same_error(reciprocals):
    with pytest.raises(InputError, match=r"^numbers are out$"):
        list(run_in_workers(reciprocals(refuse=True), [1, 2], 2, first_alone=True))


@pytest.mark.parametrize(
    ("item", "family", "message"),
    [
        (0, ZeroDivisionError, r"^division by zero$"),
        ("extra", MissingExtraError, r"^torch is not installed; run: pip install 'bedside\[train\]'$"),
        ("foreign", RuntimeError, r"^Foreign: number 5$"),  # its class cannot be unpickled
    ],
)
def test_an_error_of_an_item_is_raised_here(reciprocals, item, family, message):
    with pytest.raises(family, match=message):
        list(run_in_workers(reciprocals(), [item], 1))


def test_an_error_of_the_caller_s_callback_is_raised_and_the_worker_ends(reciprocals):
    def failing(done, total):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(run_in_workers(reciprocals(), ["sleep"], 1, failing))


def test_an_item_that_cannot_be_sent_ends_the_workers(reciprocals):
    with pytest.raises((AttributeError, pickle.PicklingError)):
        list(run_in_workers(reciprocals(), [1, 2, lambda: 0], 2))


@pytest.mark.parametrize("cleans_up", [True, False])
def test_leaving_the_loop_early_ends_the_workers(reciprocals, capfd, children, cleans_up):
    errors = ""
    with closing(run_in_workers(reciprocals(cleans_up=cleans_up), ["sleep", *range(1, 1000)], 2)) as results:
        while "asleep" not in errors:
            assert next(results)[0] != "sleep"
            errors += capfd.readouterr().err
        assert len(children()) == 2
    assert children() == []
    assert ("removed" in errors + capfd.readouterr().err) == cleans_up


@pytest.mark.parametrize("shown", [True, False])
def test_a_worker_logs_where_it_failed_if_the_log_is_shown(reciprocals, capfd, caplog, shown):
    with caplog.at_level(logging.DEBUG if shown else logging.WARNING, "bedside"), pytest.raises(ZeroDivisionError):
        list(run_in_workers(reciprocals(), [0], 1))
    errors = capfd.readouterr().err
    assert ("worker 1: ERROR:bedside:a worker failed: ZeroDivisionError" in errors) == shown
    assert ("return 1 / item" in errors) == shown


SCRIPT = """
print("once")
from bedside_test_arithmetic import Reciprocals
from bedside.processes.worker import FIRST_LINE
from bedside.processes.worker_pool import run_in_workers
print(dict(run_in_workers(Reciprocals(), [4], 1)))
"""


def test_a_script_without_a_main_guard_runs_once(reciprocals, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("once\n{4: 0.25}\n", "")


def test_a_worker_imports_from_where_this_process_does_and_not_from_the_current_folder():
    command = worker_pool.worker_command()
    assert command[0] == sys.executable
    assert command[-len(sys.path) :] == sys.path


def test_what_an_interpreter_prints_while_it_starts_is_no_answer(reciprocals, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("print('loud')\nprint('and without an end', end='')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert list(run_in_workers(reciprocals(), [4], 1)) == [(4, 0.25)]
