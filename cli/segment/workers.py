"""Several processes that segment the scans of a folder, each with an engine of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...runtime.engines import default_threads
from ...runtime.errors import ExitCode
from ..processes.pool import run_in_workers
from .case import Case
from .job import SegmentJob

if TYPE_CHECKING:
    from ...runtime.record import Outcome
    from ..processes.worker import Progress


@dataclass(frozen=True)
class _Segmenting:
    """What each worker does: opens the bundle and segments the scans it is sent."""

    job: SegmentJob
    unwinds: ClassVar[bool] = True  # a label map may be half written, a zipped bundle unpacked

    @contextmanager
    def ready(self) -> Generator[Callable[[Case, Progress], Outcome]]:
        with self.job.load() as segmenter:
            yield lambda case, progress: case.run(self.job, segmenter, progress)

    def lost(self, item: Case, why: str) -> Outcome:
        return item.failed(why, ExitCode.RESOURCE)


def segment_in_workers(
    job: SegmentJob, cases: Sequence[Case], workers: int, progress: Progress
) -> Generator[tuple[Case, Outcome]]:
    """Segments scans in several processes and yields each as it is finished; see `run_in_workers`.

    A worker that dies costs its scan, exit code 5. The label map of a scan is there whole or not at all, however it
    ends.

    Args:
        job: what to do; its threads are shared out among the workers.
        cases: the scans.
        workers: number of processes.
        progress: called with (windows done, windows in all) of the scans in work.

    Raises:
        BedsideError: no scan can be segmented: the bundle is refused, or the call is wrong.
    """
    job = job.with_threads(max(1, (job.threads or default_threads()) // workers))
    # The first worker loads alone: it may have to find the fastest engine, and others would disturb it.
    return run_in_workers(_Segmenting(job), cases, workers, progress, first_alone=True)
