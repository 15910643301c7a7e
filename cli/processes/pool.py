"""Distributes a list of items among several worker processes, and ends them when they are no longer needed."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, cast

from ...runtime.callbacks import Progress
from ..terminal.failure import Failure
from ..terminal.log import log_is_shown
from .worker import Finished, Item, Result, Steps, Work, work_off

_PATIENCE_S = 30.0  # for a terminated process to stop computing and remove its temporary file


@dataclass
class _Worker(Generic[Item]):
    process: BaseProcess
    connection: Connection
    item: Item
    steps: Steps


def run_in_workers(
    work: Work[Item, Result],
    items: Sequence[Item],
    workers: int,
    progress: Progress | None = None,
    *,
    first_alone: bool = False,
) -> Generator[tuple[Item, Result]]:
    """Runs the work on all items in several processes; yields (item, result) as each one finishes.

    A worker that dies (say, killed for memory) is replaced; `Work.lost` gives the result of its item. When the
    iteration ends, for whatever reason, the workers are terminated, see `Work.unwinds`. If this process is killed,
    they end after their current item. Close the generator if the loop over it may end early.

    Args:
        work: the computation; each worker gets a pickled copy.
        items: its inputs, sent to the workers in this order.
        workers: number of processes, at least 1.
        progress: called with (steps done, steps in total), summed over the items in progress.
        first_alone: whether the other workers start only when the first one is ready.

    Raises:
        BedsideError: a worker raised an error, which ends the work on all items; it has that error's exit code.
    """
    pending = deque(items)
    started, others_may_start = 0, not first_alone
    running: dict[Connection, _Worker[Item]] = {}
    try:
        while pending or running:
            while pending and len(running) < (workers if others_may_start else 1):
                started += 1
                worker = _start(work, pending.popleft(), started)
                running[worker.connection] = worker
            for connection in wait(list(running)):
                worker = running[cast("Connection", connection)]
                try:
                    message = worker.connection.recv()
                except (EOFError, OSError):
                    del running[worker.connection]
                    yield worker.item, work.lost(worker.item, _how_it_died(worker.process))
                    continue
                others_may_start = True
                if isinstance(message, Failure):
                    raise message.error()
                if isinstance(message, Finished):
                    item = worker.item
                    if not _goes_on(worker, pending):
                        del running[worker.connection]
                    yield item, message.result
                    continue
                worker.steps = message
                if progress is not None:
                    _report(running.values(), progress)
    finally:
        _stop([worker.process for worker in running.values()])


def _start(work: Work[Item, Result], item: Item, number: int) -> _Worker[Item]:
    context = get_context("spawn")  # engines have threads, and a fork would copy their locks
    ours, theirs = context.Pipe()
    log_prefix = f"worker {number}: " if log_is_shown() else None
    process = context.Process(target=work_off, args=(theirs, work, log_prefix), daemon=True)
    with _interrupt_blocked():
        process.start()
    theirs.close()
    _send(ours, item)
    return _Worker(process, ours, item, Steps(0, 0))


@contextmanager
def _interrupt_blocked() -> Generator[None]:
    """Lets a new process inherit a blocked SIGINT: a terminal sends ctrl-C to all, but the parent ends the workers."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows; there a worker ignores it as soon as it runs
        yield
        return
    resource_tracker.ensure_running()  # the first process would start it, and it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _goes_on(worker: _Worker[Item], pending: deque[Item]) -> bool:
    """Sends a worker its next item and returns True; without one, ends the worker and returns False."""
    if not pending:
        _send(worker.connection, None)
        worker.process.join()
        return False
    worker.item, worker.steps = pending.popleft(), Steps(0, 0)
    _send(worker.connection, worker.item)
    return True


def _send(connection: Connection, item: object) -> None:
    """Sends to a worker; if it has died, the next `recv` on its connection raises an error."""
    with suppress(ConnectionError):
        connection.send(item)


def _report(workers: Iterable[_Worker[Item]], progress: Progress) -> None:
    steps = [worker.steps for worker in workers]
    total = sum(each.total for each in steps)
    if total:
        progress(sum(each.done for each in steps), total)


def _how_it_died(process: BaseProcess) -> str:
    process.join()
    code = process.exitcode or 0
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    return f"its process died ({how}), perhaps for want of memory; take fewer --workers"


def _stop(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_PATIENCE_S)
        if process.is_alive():
            process.kill()
            process.join()
