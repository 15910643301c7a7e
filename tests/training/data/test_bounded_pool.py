"""Jobs side by side, as many as workers and memory allow."""

import threading

import pytest
from bedside.training.data import bounded_pool as module
from bedside.training.data.bounded_pool import bounded_pool


def most_at_once(workers, bytes_each, free, monkeypatch):
    """Runs six jobs that wait for company for a moment; returns how many ran at the same time at most."""
    monkeypatch.setattr(module, "free_memory", lambda: free)
    lock, running, most = threading.Condition(), 0, 0

    def work(job):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            lock.notify_all()
            lock.wait_for(lambda: running > workers, 0.02)
            running -= 1
        return job * job

    results = dict(bounded_pool(work, range(6), workers, lambda job: bytes_each))
    assert results == {job: job * job for job in range(6)}
    return most


@pytest.mark.parametrize(
    ("workers", "bytes_each", "free", "expected"),
    [(3, 10, 1000, 3), (3, 10, 25, 2), (3, 10, 5, 1), (1, 10, 1000, 1), (3, 0, 0, 3)],
    ids=["workers", "memory for two", "memory for none: one runs", "one worker", "nothing needed"],
)
def test_as_many_run_as_workers_and_memory_allow(workers, bytes_each, free, expected, monkeypatch):
    assert most_at_once(workers, bytes_each, free, monkeypatch) == expected


def test_a_jobs_exception_is_raised_and_the_rest_does_not_start():
    started = []

    def work(job):
        started.append(job)
        raise ValueError(f"job {job}")

    with pytest.raises(ValueError, match="job 0"):
        list(bounded_pool(work, range(5), 1, lambda job: 0))
    assert started == [0]
