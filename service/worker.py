"""Gives the accepted scans, one after the other, to the worker process, and starts another one where it ends."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from queue import SimpleQueue

from ..processes.kept_worker import KeptWorker
from ..runtime.errors import ResourceError
from ..runtime.memory.resident import counting_helper
from .bundle_source import BundleSource
from .job import Job
from .refusal import Failure, failure_of
from .segmenting import Answer, PlannedScan, Segmenting, Started

_log = logging.getLogger("bedside.service")

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
        self._opened = ExitStack()
        self._process = self._started()
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
        if self._thread.is_alive():
            self._process.kill()
            self._thread.join()

    def _serve(self) -> None:
        with self._opened:
            while (job := self._queue.get()) is not None:
                if job.begin():
                    self._run(job)
                if job.state == "cancelled":  # a job that was done before somebody cancelled it keeps its files
                    shutil.rmtree(job.folder, ignore_errors=True)

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
            self._process = self._started()
        answer = self._process.run(job.planned(), job.progress)
        if self._process.died:
            _log.warning("the worker process ended; the next scan gets another one")
        return answer

    def _started(self) -> KeptWorker[PlannedScan | Started, Answer]:
        """Starts a worker process, and waits until it has opened the bundles."""
        self._opened.close()
        process = self._opened.enter_context(KeptWorker(self._work))
        answer = process.run(Started())
        if isinstance(answer, Failure):
            raise ResourceError(answer.message)
        if process.process_id is not None:
            self._opened.enter_context(counting_helper(process.process_id))
        return process
