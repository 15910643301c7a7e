"""A pool whose threads cannot start says what to do; other errors stay what they are."""

import threading

import pytest
from bedside.runtime.errors import ResourceError
from bedside.runtime.thread_pool import thread_pool


def test_the_threads_have_the_name_and_return_results():
    with thread_pool(2, "bedside-some") as pool:
        assert list(pool.map(abs, [-1, 2])) == [1, 2]
        assert pool.submit(lambda: threading.current_thread().name).result().startswith("bedside-some")


def test_a_thread_that_does_not_start_is_a_want_of_resources(monkeypatch):
    def refused(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    with pytest.raises(ResourceError, match="starts no more threads: free memory"), thread_pool(1, "some") as pool:
        pool.submit(abs, 1)


def test_other_errors_of_the_block_stay_what_they_are():
    with pytest.raises(RuntimeError, match="else"), thread_pool(1, "some"):
        raise RuntimeError("something else")
