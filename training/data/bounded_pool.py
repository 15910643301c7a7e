"""Runs jobs in parallel, as many as fit into free memory.

Threads, not processes: numpy and zlib release the interpreter lock, and threads share the modules already loaded.
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
    """Yields every job with its result, in the order in which they finish.

    A job starts beside others only if free memory suffices for all of them; one job always runs. If a job raises, its
    exception is raised here after the running jobs have finished; no further job starts.

    Args:
        work: function from a job to its result.
        jobs: arguments of ``work``.
        workers: maximum number of parallel jobs.
        memory: function from a job to the bytes it may need.
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
