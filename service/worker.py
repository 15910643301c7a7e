"""Gives the accepted scans, one after the other, to the worker process, and starts another one where it ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from queue import Empty, SimpleQueue

from ..processes.kept_worker import KeptWorker
from ..runtime.errors import BedsideError, ResourceError
from ..runtime.memory.resident import counting_helper
from .bundle_source import BundleSource
from .job import Job
from .refusal import Failure, failure_of
from .segmenting import Answer, Segmenting, Started

_log = logging.getLogger("bedside.service")

_WATCH_SECONDS = 1.0  # between two looks whether the process has ended
_END_SECONDS = 60.0  # a window takes seconds at most, also on a small device


class Worker:
    """Segments jobs in the order in which they come, in a process that a thread of its own speaks to.

    Args:
        bundles: the bundles, as the server opened them.

    Raises:
        ResourceError: the process ended while it opened the bundles.
        BedsideError: a bundle cannot be opened there.
    """

    def __init__(self, bundles: Sequence[BundleSource]) -> None:
        self._work = Segmenting(tuple(bundles))
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._process = KeptWorker(self._work)
        self._counting = ExitStack()
        self._end_is_logged = False
        with ExitStack() as undo:
            undo.callback(self._end_process)
            self._open()
            undo.pop_all()
        self._thread = threading.Thread(target=self._serve, name="bedside-worker", daemon=True)
        self._thread.start()

    @property
    def process_id(self) -> int | None:
        """Process id of the worker process; None where there is none."""
        return self._process.process_id

    def put(self, job: Job) -> None:
        """Queues a job, whose scan has its memory."""
        self._queue.put(job)

    def close(self) -> None:
        """Ends after the job in progress, which should have been cancelled; one that hangs is killed."""
        self._queue.put(None)
        self._thread.join(_END_SECONDS)
        while self._thread.is_alive():
            self._process.kill()  # more than once: a job may just begin in the process that follows
            self._thread.join(_WATCH_SECONDS)

    def _serve(self) -> None:
        try:
            while (job := self._next()) is not None:
                if job.begin():
                    self._run(job)
                if job.state == "cancelled":  # a job that was done before somebody cancelled it keeps its files
                    job.remove()
        finally:
            self._end_process()

    def _next(self) -> Job | None:
        """Waits for a job, and watches the process meanwhile."""
        while True:
            try:
                return self._queue.get(timeout=_WATCH_SECONDS)
            except Empty:
                continue
            finally:
                self._log_end()

    def _run(self, job: Job) -> None:
        with job.reservation:
            try:
                job.finish(self._answer(job))
            except Exception as error:  # whatever it is, the client gets the reason and the next job begins
                job.finish(failure_of(error))
        job.reserved = None

    def _answer(self, job: Job) -> Answer:
        answer = self._try(job)
        # A process that is killed between two scans is for a moment not seen to have ended.
        return answer if self._process.received else self._try(job)

    def _try(self, job: Job) -> Answer:
        if self._process.died:
            self._restart()
        answer = self._process.run(job.item(), job.progress)
        self._log_end()
        return answer

    def _restart(self) -> None:
        """Starts another process in place of one that ended, whose memory counts until that of the other does."""
        self._log_end()
        self._process.close()
        self._process, self._end_is_logged = KeptWorker(self._work), False
        try:
            self._open()
        except BedsideError as error:
            _log.warning("the next worker process could not open the bundles: %s", error)
            self._end_is_logged = True
            raise

    def _open(self) -> None:
        """Waits until the process has opened the bundles; `close` can kill it meanwhile."""
        answer = self._process.run(Started())
        if isinstance(answer, Failure):
            raise ResourceError(answer.message)
        process_id = self._process.process_id
        if process_id is not None:
            with self._counting.pop_all():  # until the other counts
                self._counting.enter_context(counting_helper(process_id))

    def _log_end(self) -> None:
        """Logs, once for each process, that it has ended before its time."""
        reason = self._process.reason
        if reason and not self._end_is_logged:
            self._end_is_logged = True
            _log.warning("the worker process ended: %s; the next scan gets another one", reason)

    def _end_process(self) -> None:
        self._process.close()
        self._counting.close()
