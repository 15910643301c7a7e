"""The thread that segments the accepted scans, one after the other."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from ..runtime.errors import BedsideError
from .answers import ResultAnswer
from .job import Job
from .refusal import failure_of
from .wording import for_clients

if TYPE_CHECKING:
    from ..runtime.result import Result

LABELS, SEGMENTATION = "labels.nii.gz", "segmentation.dcm"
_END_SECONDS = 60.0  # a window takes seconds at most, also on a small device


class Worker:
    """Segments jobs in the order in which they come, in a thread of its own."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="bedside-worker", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Queues a job, whose scan has its memory."""
        self._queue.put(job)

    def close(self) -> None:
        """Ends the thread after the job in progress, which should have been cancelled."""
        self._queue.put(None)
        self._thread.join(_END_SECONDS)

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if job.begin():
                _run(job)


def _run(job: Job) -> None:
    with job.reservation:
        try:
            if job.reserved is None:
                raise RuntimeError("the job has no scan")
            job.succeed(_saved(job, job.reserved.run(job.progress)))
        except Exception as error:  # whatever it is, the client gets the reason and the next job begins
            job.fail(failure_of(error))
    job.reserved = None
    if job.cancelled():
        shutil.rmtree(job.folder, ignore_errors=True)


def _saved(job: Job, result: Result) -> ResultAnswer:
    """Writes the files of a job, and returns what the API answers about it."""
    result.save(job.folder / LABELS)
    warnings = [for_clients(each) for each in result.warnings]
    is_written = False
    if job.scan is not None and not isinstance(job.scan, Path):
        try:
            from ..dicom import write_segmentation

            segmenter = job.bundle.segmenter
            path, names, sha256 = job.folder / SEGMENTATION, segmenter.task.labels, segmenter.bundle.sha256
            write_segmentation(path, result.labels, names, job.scan, bundle_sha256=sha256)
            is_written = True
        except BedsideError as error:
            warnings.append(f"there is no DICOM segmentation of this series: {for_clients(str(error))}")
    return ResultAnswer(
        volumes_ml=dict(result.volumes_ml),
        warnings=warnings,
        notes=[for_clients(each) for each in result.notes],
        needs_review=bool(warnings),
        shape=list(result.labels.shape),
        spacing=[float(each) for each in result.grid.spacing],
        engine=result.engine,
        precision=result.precision,
        seconds=sum(result.timings.values()) / 1000,
        segmentation=is_written,
    )
