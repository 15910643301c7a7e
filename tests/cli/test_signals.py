"""Signals that the caller ignores, as `nohup` and background jobs do, stay ignored; others end a command."""

import json
import signal
import subprocess
import sys

import pytest

SIGNALLED = """
import os, sys
import bedside.devices
from bedside.cli.main import main

detect, signals = bedside.devices.detect, sys.argv[1:]

def signalled():
    for number in signals:
        os.kill(os.getpid(), int(number))
    return detect()

bedside.devices.detect = signalled
sys.argv[1:] = ["devices", "--json"]
main()
"""


def devices(disposition, *signals):
    """Runs `bedside devices`, which sends itself the signals."""

    def set_disposition():
        for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(signum, disposition)

    words = [sys.executable, "-c", SIGNALLED, *(str(int(signum)) for signum in signals)]
    return subprocess.run(words, preexec_fn=set_disposition, capture_output=True, text=True, timeout=60)


def test_what_the_caller_ignores_stays_ignored():
    done = devices(signal.SIG_IGN, signal.SIGINT, signal.SIGHUP)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["host"]["cpu"]["logical_cores"] >= 1


@pytest.mark.parametrize(
    ("signum", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_a_command_in_one_line(signum, code, word):
    done = devices(signal.SIG_DFL, signum)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"bedside: error: {word}; nothing half-written\n")


def test_a_supervisor_s_termination_is_heard_though_it_was_ignored_before():
    assert devices(signal.SIG_IGN, signal.SIGTERM).returncode == 143
