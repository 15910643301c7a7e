from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from bedside.runtime.files import lock as module
from bedside.runtime.files.lock import Lock, acquire_lock, advisory_lock

from ...descriptor_copies import copy_descriptors

HOLDER = """
import sys, time
from pathlib import Path
from bedside.runtime.files.lock import advisory_lock
with advisory_lock(Path(sys.argv[1]), 0):
    print("in", flush=True)
    time.sleep(60)
"""


def test_two_are_never_inside_at_the_same_time(tmp_path):
    inside, most = [], []

    def work():
        with advisory_lock(tmp_path / "lock", 10):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_another_process_is_waited_for_until_it_dies(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "lock"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"in\n"
        timer = threading.Timer(0.1, holder.kill)
        timer.start()
        with advisory_lock(tmp_path / "lock", 30):
            assert holder.poll() is not None or holder.wait(1) < 0  # gone, or only not buried yet
            assert not timer.is_alive()


def test_patience_ends(tmp_path):
    begun = time.monotonic()
    with advisory_lock(tmp_path / "lock", 0.0), advisory_lock(tmp_path / "lock", 0.2):
        assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize("trouble", ["no folder", "no locks", "no fcntl"])
def test_where_there_is_no_lock_nobody_waits(tmp_path, monkeypatch, trouble):
    def none(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    if trouble == "no locks":
        monkeypatch.setattr(fcntl, "flock", none)
    if trouble == "no fcntl":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    entered = []
    with advisory_lock(tmp_path / ("none" if trouble == "no folder" else ".") / "lock", 60):
        entered.append(1)
    assert entered == [1]


def test_an_error_inside_comes_out_and_gives_the_turn_back(tmp_path):
    with pytest.raises(ZeroDivisionError), advisory_lock(tmp_path / "lock", 60):
        raise ZeroDivisionError
    begun = time.monotonic()
    with advisory_lock(tmp_path / "lock", 60):
        assert time.monotonic() - begun < 5


def test_a_child_that_was_forked_inside_does_not_keep_the_lock(tmp_path):
    with ExitStack() as copies:
        with advisory_lock(tmp_path / "lock", 0):
            copy_descriptors(tmp_path / "lock", copies)
        descriptor = os.open(tmp_path / "lock", os.O_RDWR)
        copies.callback(os.close, descriptor)
        assert acquire_lock(descriptor, wait=False) is Lock.ACQUIRED


@pytest.mark.parametrize(("seconds", "is_logged"), [(0.4, False), (1.0, True)])
def test_a_wait_of_more_than_a_second_is_logged_with_its_reason(tmp_path, monkeypatch, caplog, seconds, is_logged):
    waiting, given_up = (
        "another process measures; waiting for it, for 60 s at most",
        "another process still measures; going on without waiting for it",
    )
    readings = iter([0.0, seconds, 60.0])
    clock = SimpleNamespace(monotonic=lambda: next(readings), sleep=lambda seconds: None)
    with caplog.at_level(logging.INFO, "bedside"), advisory_lock(tmp_path / "lock", 60, "measures"):
        assert caplog.messages == []
        monkeypatch.setattr(module, "time", clock)
        with advisory_lock(tmp_path / "lock", 60, "measures"):
            assert caplog.messages == ([waiting] if is_logged else []) + [given_up]
