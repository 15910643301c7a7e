"""A few jobs at a time, as many as memory holds.

Threads, not processes: the work is numpy's and zlib's, which let other threads run, and a thread shares what is
loaded already.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from ...runtime.memory.free_memory import free_memory

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


def bounded_pool(
    work: Callable[[_Job], _Result], jobs: Sequence[_Job], workers: int, memory: Callable[[_Job], int]
) -> Iterator[tuple[_Job, _Result]]:
    """Yields every job with its result, in the order they are finished.

    A job starts beside others only while the memory that is free holds what all of them may take; one always runs. An
    exception of a job is raised here; jobs that run are waited for, others do not start.

    Args:
        work: what to do.
        jobs: what to do it with.
        workers: jobs at the same time at most.
        memory: bytes a job may take.
    """
    pending = deque(jobs)
    running: dict[Future[_Result], tuple[_Job, int]] = {}
    workers = max(1, workers)

    def fits(needed: int) -> bool:
        return not running or needed + sum(bytes_ for _, bytes_ in running.values()) <= free_memory()

    with ThreadPoolExecutor(workers) as pool:
        while pending or running:
            while pending and len(running) < workers and fits(needed := memory(pending[0])):
                job = pending.popleft()
                running[pool.submit(work, job)] = job, needed
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                job, _ = running.pop(future)
                yield job, future.result()
