from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from bedside.runtime.engine_selection import timing
from bedside.runtime.engine_selection.timing import timed


@pytest.fixture
def one_second(monkeypatch):
    """A call of 1 s on the clock and 0.6 s of CPU, while threads wait as the system's account says."""

    def measured(threads, before, after):
        clock, cpu, accounts = iter([10.0, 11.0]), iter([2.0, 2.6]), iter([before, after])
        monkeypatch.setattr(
            timing, "time", SimpleNamespace(perf_counter=lambda: next(clock), process_time=lambda: next(cpu))
        )
        monkeypatch.setattr(timing, "_waited", lambda: next(accounts))
        return timed(lambda: "result", threads)

    return measured


def test_the_calls_result_comes_back(one_second):
    assert one_second(1, {}, {}).result == "result"


def test_undisturbed_it_is_the_time_on_the_clock(one_second):
    assert one_second(1, {"1": 5.0}, {"1": 5.09}).seconds == 1.0


def test_disturbed_it_is_the_cpu_time_spread_over_the_threads(one_second):
    assert one_second(2, {"1": 5.0, "2": 0.0}, {"1": 5.2, "2": 0.2}).seconds == pytest.approx(0.3)


def test_waiting_is_measured_against_what_all_threads_had(one_second):
    assert one_second(4, {"1": 5.0}, {"1": 5.39}).seconds == 1.0  # 0.39 s of 4 s


def test_waiting_of_a_thread_that_began_meanwhile_counts(one_second):
    assert one_second(1, {"1": 5.0}, {"1": 5.0, "2": 0.2}).seconds == pytest.approx(0.6)


def test_a_thread_that_ended_meanwhile_takes_nothing_away(one_second):
    assert one_second(1, {"1": 5.0, "2": 9.0}, {"1": 5.2}).seconds == pytest.approx(0.6)


def test_without_an_account_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(timing, "_THREADS", tmp_path / "absent")
    assert timing._waited() == {}


@pytest.mark.skipif(not timing._THREADS.is_dir(), reason="Linux keeps the account")
def test_the_system_tells_of_every_thread_of_this_process():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    before = timing._waited()
    thread.start()
    try:
        assert len(timing._waited().keys() - before.keys()) == 1
    finally:
        stop.set()
        thread.join()


def test_of_work_on_another_device_the_clock_alone_counts(one_second):
    """The threads that wait for it may wait for a CPU too, but use none of its time."""
    assert one_second(None, {"1": 0.0}, {"1": 1.0}).seconds == 1.0
