import logging
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from bedside.cli.demo.child_command import StageFailedError, run_stage
from bedside.processes import child as child_process
from bedside.processes.child import python_command
from bedside.runtime.memory.resident import peak_resident_bytes

INTERRUPT = "sleep .5; kill -USR1 $PPID"  # not while the parent is still starting this script


class Interrupted(BaseException):
    """What the handler below raises, as that of the command line does at SIGTERM."""


@pytest.fixture
def child(tmp_path, monkeypatch):
    """Puts a shell script in the place of `python -m bedside`."""

    def replace(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr("sys.executable", str(path))

    return replace


@pytest.fixture
def interrupts():
    """SIGUSR1 interrupts this process; the scripts send it once they run."""

    def interrupt(signum, frame):
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_a_stage_brings_its_output_time_and_memory():
    stage = run_stage("Version", ["--version"])
    assert stage.output.startswith("bedside ")
    assert stage.command == "bedside --version"
    assert 0 < stage.seconds < 60
    # A child's peak begins with what its parent held when it was started.
    assert 10e6 < stage.peak_bytes < 0.3e9 + peak_resident_bytes()


def test_a_failing_stage_keeps_its_exit_code(tmp_path):
    with pytest.raises(StageFailedError, match="bedside inspect ended with exit code") as failed:
        run_stage("Inspect", ["inspect", str(tmp_path / "nothing"), "-q"])
    assert failed.value.exit_code in (3, 4)


def test_debug_is_passed_on(child, caplog):
    child('echo "$@"')
    assert run_stage("Train", ["distill"]).output.endswith(f"{sys.path[-1]} distill\n")
    with caplog.at_level(logging.DEBUG, "bedside"):
        assert run_stage("Train", ["distill"]).output.endswith(f"{sys.path[-1]} --debug distill\n")


def test_an_interrupted_stage_lets_its_child_clean_up(tmp_path, child, interrupts):
    child(f"trap 'sleep 0.5; echo yes >{tmp_path}/cleaned; exit 143' TERM; {INTERRUPT}; while :; do sleep .1; done")
    with pytest.raises(Interrupted):
        run_stage("Train", ["distill"])
    assert (tmp_path / "cleaned").read_text() == "yes\n"


def test_a_stage_ends_without_a_line_when_the_command_that_runs_it_is_killed(tmp_path):
    words = ["phantom", str(tmp_path / "phantoms"), "--cases", "500", "-q"]
    code = f"from bedside.cli.demo.child_command import run_stage; run_stage('Phantoms', {words!r})"
    with subprocess.Popen(python_command(code), stderr=subprocess.PIPE) as parent:
        deadline = time.monotonic() + 60
        while not (found := psutil.Process(parent.pid).children()) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(2)  # the command has begun
        parent.kill()
        found[0].wait(60)
        assert parent.stderr.read() == b""


def test_a_child_that_does_not_end_in_time_is_killed(tmp_path, child, interrupts, monkeypatch):
    monkeypatch.setattr(child_process, "GRACE_SECONDS", 0.3)
    child(f"trap '' TERM; echo $$ >{tmp_path}/pid; {INTERRUPT}; while :; do sleep .1; done")
    with pytest.raises(Interrupted):
        run_stage("Train", ["distill"])
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("number", "words"),
    [(9, r"bedside distill was killed by signal 9 \(out of memory\?\)"), (11, r"killed by signal 11 \(Segm.* fault\)")],
)
def test_a_child_killed_by_a_signal_is_described(child, number, words):
    child(f"kill -{number} $$")
    with pytest.raises(StageFailedError, match=words) as failed:
        run_stage("Train", ["distill"])
    assert failed.value.exit_code == 5
    assert "above" not in str(failed.value)
