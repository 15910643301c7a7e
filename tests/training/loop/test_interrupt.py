import os
import signal

import pytest
from bedside.runtime.errors import Cancelled
from bedside.training.loop.interrupt import StopRequest, TrainingInterrupted


@pytest.fixture(autouse=True)
def interrupts_arrive():
    """The test run itself may have been started in the background, where Ctrl-C is ignored, or under nohup."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler), signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, before[0])
    signal.signal(signal.SIGHUP, before[1])


def send(*signals):
    with StopRequest() as stop:
        for signum in signals:
            os.kill(os.getpid(), signum)
        return stop.signum


def test_a_request_is_noted_and_nothing_is_raised():
    assert send(signal.SIGTERM) == signal.SIGTERM
    assert send(signal.SIGHUP) == signal.SIGTERM  # the terminal was closed
    assert send(signal.SIGINT) == signal.SIGINT
    assert send() is None


def test_a_second_interrupt_stops_at_once():
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT, signal.SIGINT)


@pytest.mark.parametrize(
    "signals",
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)],
)
def test_termination_is_one_request_however_often_it_is_sent(signals):
    """A launcher and the process group both send it; after Ctrl-C a supervisor adds its SIGTERM."""
    assert send(*signals) == signal.SIGTERM


def test_an_interrupt_that_the_caller_ignores_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert send(signal.SIGINT, signal.SIGINT) is None
    assert send(signal.SIGINT, signal.SIGTERM) == signal.SIGTERM


def test_the_handlers_of_before_are_back_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    send(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_request_on_any_process_is_one_for_all_and_termination_wins():
    stop = StopRequest()
    assert stop.agreed([0.0, 0.0]) is None
    assert stop.agreed([0.0, 2.0]) == signal.SIGINT
    assert stop.agreed([1.0, 1.0]) == signal.SIGTERM


def test_windows_of_a_validation_end_at_a_request():
    with StopRequest() as stop:
        stop.raise_if_received()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Cancelled):
            stop.raise_if_received()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_exit_code_names_the_signal(signum, code):
    assert TrainingInterrupted(signum).exit_code == code
