"""A function is called while a block runs; thread and error end with it."""

from __future__ import annotations

import threading
from threading import Event

import pytest
from bedside.devices.sensors.sampler_thread import SamplerThread

NAME = "bedside-test-sampler"


def is_running():
    return any(thread.name == NAME for thread in threading.enumerate())


@pytest.fixture
def failing():
    """A function that raises, and the event that says it was called."""
    called = Event()

    def sample():
        called.set()
        raise RuntimeError("no such sensor")

    return sample, called


def test_the_function_is_called_again_and_again_while_the_block_runs():
    calls, enough = [], Event()

    def sample():
        calls.append(threading.current_thread().name)
        if len(calls) == 3:
            enough.set()

    with SamplerThread(sample, 0.001, NAME):
        assert enough.wait(60)
    assert set(calls) == {NAME}
    assert not is_running()


def test_a_block_shorter_than_the_interval_ends_at_once_and_without_a_call():
    calls = []
    with SamplerThread(lambda: calls.append(1), 3600.0, NAME):
        assert is_running()
    assert (calls, is_running()) == ([], False)


def test_the_thread_ends_with_a_block_that_raises():
    with pytest.raises(ValueError, match="the block"), SamplerThread(lambda: None, 3600.0, NAME):
        raise ValueError("the block")
    assert not is_running()


def test_an_error_of_the_function_is_raised_where_the_block_ends(failing):
    sample, called = failing
    with pytest.raises(RuntimeError, match="no such sensor"), SamplerThread(sample, 0.001, NAME):
        assert called.wait(60)


def test_an_error_of_the_block_comes_before_that_of_the_function(failing):
    sample, called = failing

    def block():
        assert called.wait(60)
        raise ValueError("the block")

    with pytest.raises(ValueError, match="the block"), SamplerThread(sample, 0.001, NAME):
        block()
