import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from bedside.processes.signals import Terminated, sigint_as_by_default, sigint_blocked, unwind_on_sigterm


def test_sigterm_unwinds_and_no_handler_of_errors_swallows_it():
    unwound = []

    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Exception:
            pytest.fail("a handler of errors caught it")
        finally:
            unwound.append(True)

    before = signal.getsignal(signal.SIGTERM)
    unwind_on_sigterm()
    try:
        with pytest.raises(Terminated):
            work()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert unwound == [True]


@pytest.mark.parametrize(("caller", "handled"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)])
def test_a_closed_terminal_counts_as_sigterm_unless_the_caller_ignores_it(caller, handled):
    before = signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGHUP, caller)
    unwind_on_sigterm()
    try:
        with pytest.raises(Terminated) if handled else nullcontext():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGHUP, before[1])


def blocked():
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_child_inherits_a_blocked_sigint_and_the_parent_gets_it_back():
    with sigint_blocked():
        assert blocked()
    assert not blocked()


CHILD = "import signal; print(signal.getsignal(signal.SIGINT) is not signal.SIG_IGN)"


@pytest.mark.parametrize("thread", [False, True])
def test_a_child_hears_sigint_although_the_caller_was_told_to_ignore_it(thread):
    def told():
        with sigint_as_by_default():
            return subprocess.check_output([sys.executable, "-c", CHILD], text=True).strip()

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ThreadPoolExecutor(1) as pool:
            heard = pool.submit(told).result() if thread else told()
        assert heard == ("False" if thread else "True")  # only the main thread may say what becomes of a signal
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_sigint_stays_blocked_where_the_caller_had_blocked_it():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with sigint_blocked():
            pass
        assert blocked()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
