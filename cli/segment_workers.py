"""Several processes that segment the scans of a folder, each with an engine of its own."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, cast

from ..runtime.engines import default_threads
from ..runtime.errors import BedsideError, ExitCode
from .failure import Failure, failure_of
from .segment_case import Case
from .segment_job import SegmentJob
from .terminated import Terminated, unwind_on_sigterm

if TYPE_CHECKING:
    from ..runtime.callbacks import Progress
    from ..runtime.record import Outcome

_PATIENCE_S = 30.0  # for a process to leave the window it computes and to remove its temporary file


@dataclass(frozen=True)
class _Windows:
    """A worker's progress in its scan; none of none says that it is ready."""

    done: int
    total: int


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    case: Case
    windows: _Windows


def run_in_workers(
    job: SegmentJob, cases: Sequence[Case], workers: int, progress: Progress
) -> Iterator[tuple[Case, Outcome]]:
    """Segments scans in several processes and yields each as it is finished.

    A worker that dies (say, killed for memory) costs its scan, exit code 5, and is replaced. When the iteration ends,
    for whatever reason, the workers do too: after the window they compute, and without a part of a file left behind. If
    this process is killed, they end with their window as well.

    Args:
        job: what to do; its threads are shared out among the workers.
        cases: the scans.
        workers: number of processes.
        progress: called with (windows done, windows in all) of the scans in work.

    Raises:
        BedsideError: no scan can be segmented: the bundle is refused, or the call is wrong.
    """
    job = job.with_threads(max(1, (job.threads or default_threads()) // workers))
    pending = deque(cases)
    loaded = False  # the first worker loads alone: it may have to find the fastest engine, and others would disturb it
    running: dict[Connection, _Worker] = {}
    try:
        while pending or running:
            while pending and len(running) < (workers if loaded else 1):
                worker = _start(job, pending.popleft())
                running[worker.connection] = worker
            for connection in wait(list(running)):
                worker = running[cast("Connection", connection)]
                try:
                    message = worker.connection.recv()
                except (EOFError, OSError):
                    del running[worker.connection]
                    yield worker.case, _died(worker)
                    continue
                loaded = True
                if isinstance(message, _Windows):
                    worker.windows = message
                    inside = [other.windows for other in running.values()]
                    done, total = sum(each.done for each in inside), sum(each.total for each in inside)
                    if total:
                        progress(done, total)
                    continue
                if isinstance(message, Failure):
                    error = BedsideError(message.message)
                    error.exit_code = message.code
                    raise error
                case = worker.case
                if pending:
                    worker.case, worker.windows = pending.popleft(), _Windows(0, 0)
                    worker.connection.send(worker.case)
                else:
                    worker.connection.send(None)
                    del running[worker.connection]
                    worker.process.join()
                yield case, message
    finally:
        _stop([worker.process for worker in running.values()])


def _start(job: SegmentJob, case: Case) -> _Worker:
    context = get_context("spawn")  # engines have threads, and a fork would copy their locks
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, job), daemon=True)
    with _interrupt_blocked():
        process.start()
    theirs.close()
    ours.send(case)
    return _Worker(process, ours, case, _Windows(0, 0))


@contextmanager
def _interrupt_blocked() -> Generator[None]:
    """Lets a new process inherit a blocked SIGINT: at a terminal ctrl-C goes to all, and it is for us to end them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows; there a worker ignores it as soon as it runs
        yield
        return
    resource_tracker.ensure_running()  # the first process would start it, and it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _died(worker: _Worker) -> Outcome:
    worker.process.join()
    code = worker.process.exitcode or 0
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    message = f"the process that segmented it died ({how}), perhaps for want of memory; take fewer --workers"
    return worker.case.failed(message, ExitCode.RESOURCE)


def _stop(processes: list[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_PATIENCE_S)
        if process.is_alive():
            process.kill()
            process.join()


def _work(connection: Connection, job: SegmentJob) -> None:
    """What a worker does: segments the scans it is sent, until it is sent None or nobody is left to send."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        unwind_on_sigterm()
        _serve(connection, job)
    except (EOFError, BrokenPipeError, Terminated):
        return


def _serve(connection: Connection, job: SegmentJob) -> None:
    try:
        with job.load() as segmenter:
            connection.send(_Windows(0, 0))
            while (case := connection.recv()) is not None:
                connection.send(case.run(job, segmenter, lambda done, total: connection.send(_Windows(done, total))))
    except (EOFError, BrokenPipeError):
        raise
    except Exception as error:
        connection.send(failure_of(error))
