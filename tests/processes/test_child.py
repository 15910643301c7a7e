"""Children get time to clean up, but no more than that."""

import signal
import subprocess
import sys
import time

import pytest
from bedside.processes import child
from bedside.processes.child import end, how_it_ended

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"


def start(code):
    """Starts a child, and waits for its first line."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_a_child_is_terminated_and_may_clean_up():
    handler = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "
    with start(handler + "print(flush=True); time.sleep(60)") as process:
        end([process])
        assert process.returncode == 7


def test_children_that_do_not_end_in_time_are_killed_after_one_grace_time(monkeypatch):
    monkeypatch.setattr(child, "GRACE_SECONDS", 2.0)
    with start(DEAF) as one, start(DEAF) as two:
        begun = time.monotonic()
        end([one, two])
        assert 2.0 <= time.monotonic() - begun < 4.0  # not one after the other
        assert (one.returncode, two.returncode) == (-9, -9)


def test_a_second_interrupt_kills_at_once():
    class Interrupted(BaseException):
        pass

    def interrupt(signum, frame):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with start(DEAF) as process:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Interrupted):
                end([process])
            assert process.returncode == -9
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (0, "ended with exit code 0"),
        (-9, "was killed by signal 9 (out of memory?); free memory"),
        (-11, "was killed by signal 11 (Segmentation fault)"),
    ],
)
def test_the_end_of_a_child_is_described(code, message):
    assert how_it_ended(code, "free memory") == message
