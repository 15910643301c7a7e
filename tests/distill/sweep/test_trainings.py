"""Children of a sweep: several at a time, one that fails, and none left behind."""

import os
import signal
import subprocess
import time

import psutil
import pytest
from bedside.distill.sweep import trainings
from bedside.distill.sweep.trainings import run_trainings
from bedside.processes.child import python_command
from bedside.processes.cluster import Cluster


@pytest.fixture
def child(monkeypatch):
    """Puts a statement in the place of the command; its arguments are in ``sys.argv``, after "-c"."""
    return lambda statement: monkeypatch.setattr(
        "bedside.processes.child._COMMAND", f"import os, sys, time; {statement}"
    )


def test_a_training_that_fails_does_not_stop_the_others(child):
    child("sys.exit(int(sys.argv[1]))")
    started = []
    codes = run_trainings({"a": ["0"], "b": ["3"], "c": ["0"]}, started=lambda *given: started.append(given))
    assert codes == {"a": 0, "b": 3, "c": 0}
    assert started == [("a", 1, 3), ("b", 2, 3), ("c", 3, 3)]


def test_a_killed_training_has_the_number_of_its_signal(child):
    child("os.kill(os.getpid(), 9)")
    assert run_trainings({"a": []}) == {"a": -9}


def test_two_at_a_time_run_together_and_share_the_cores(child, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(trainings, "default_threads", lambda: 6)
    child(  # each waits for the other's file
        "open(sys.argv[1], 'w').write(os.environ['OMP_NUM_THREADS'])\n"
        "while not os.path.exists(sys.argv[2]): time.sleep(0.01)"
    )
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    assert run_trainings({"a": [one, two], "b": [two, one]}, jobs=2) == {"a": 0, "b": 0}
    assert (tmp_path / "one").read_text() == "3"


def test_what_a_training_prints_stays_out_of_stdout(child, capfd):
    child("print('a result'); print('a message', file=sys.stderr)")
    run_trainings({"a": []})
    assert capfd.readouterr() == ("", "a message\n")


class Interrupted(BaseException):
    """What the handler below raises, as that of the command line does at SIGTERM."""


def test_an_interrupted_sweep_lets_its_trainings_save(child, tmp_path, children):
    def interrupt(signum, frame):
        raise Interrupted

    saved = str(tmp_path / "saved")
    child(
        "import signal\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), open({saved!r}, 'w'), exit(143)))\n"
        "os.kill(os.getppid(), signal.SIGUSR1)\n"
        "while True: time.sleep(0.1)"
    )
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(Interrupted):
            run_trainings({"a": [], "b": []})
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (tmp_path / "saved").exists()
    assert children() == []


def test_trainings_end_when_the_sweep_is_killed(tmp_path):
    words = ["phantom", str(tmp_path / "phantoms"), "--cases", "500", "-q"]
    code = f"from bedside.distill.sweep.trainings import run_trainings; run_trainings({{'a': {words!r}}})"
    with subprocess.Popen(python_command(code), stderr=subprocess.PIPE, env={**os.environ}) as parent:
        deadline = time.monotonic() + 60
        while not (found := psutil.Process(parent.pid).children()) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(2)  # the command has begun
        parent.kill()
        found[0].wait(60)
        assert parent.stderr.read() == b""


def test_jobs_of_a_cluster_give_the_same_exit_codes_and_messages(tmp_path, scheduler, caplog):
    pytest.importorskip("submitit", reason="extra cluster")
    cluster = Cluster(scheduler=scheduler, jobs=2, threads=1, folder=tmp_path)
    started = []
    codes = run_trainings(
        {"a": ["--version"], "b": ["distill"], "c": ["--version"]},
        started=lambda *given: started.append(given),
        cluster=cluster,
    )
    assert codes == {"a": 0, "b": 2, "c": 0}
    assert started == [("a", 1, 3), ("b", 2, 3), ("c", 3, 3)]
    assert list(tmp_path.iterdir()) == []
    (said,) = caplog.messages
    assert said.startswith('"b": error: distill: give a data set and --output')
