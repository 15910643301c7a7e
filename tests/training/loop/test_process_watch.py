"""The first process of a training and one that it started; `test_together.py` and the scorecard train with both."""

import signal
import threading
from types import SimpleNamespace

import pytest
from bedside.training.loop import process_watch
from bedside.training.loop.process_watch import PROCESS_LOST, PROCESS_STOPPED, ProcessWatch
from lightning_fabric.plugins.environments import LightningEnvironment


@pytest.mark.parametrize(
    ("end", "code", "message"),
    [
        (130, 130, PROCESS_STOPPED),
        (143, 143, PROCESS_STOPPED),
        (-signal.SIGINT, 130, PROCESS_STOPPED),
        (-signal.SIGTERM, 143, PROCESS_STOPPED),
        (-signal.SIGKILL, 5, PROCESS_LOST),
        (1, 5, PROCESS_LOST),
    ],
)
def test_a_training_whose_processes_were_stopped_ends_as_one_that_was_stopped(end, code, message, monkeypatch, capfd):
    """The first process waits for the others in C code, where Python does not handle its own signal."""
    ended, codes = threading.Event(), []

    def leave(number):
        codes.append(number)
        ended.set()

    monkeypatch.setattr(process_watch, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(process_watch.os, "_exit", leave)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("BEDSIDE_FIRST_PROCESS", "")  # set by the watch, and taken back at the end
    other = SimpleNamespace(poll=lambda: end, kill=lambda: None)
    launcher = SimpleNamespace(num_processes=2, procs=[other])
    strategy = SimpleNamespace(launcher=launcher, cluster_environment=LightningEnvironment())
    with ProcessWatch(SimpleNamespace(strategy=strategy)):
        assert ended.wait(10)
    assert codes[0] == code
    assert f"bedside: error: {message}\n" in capfd.readouterr().err
