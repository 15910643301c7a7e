"""Several processes, or jobs of a cluster, that segment the scans of a folder, each with an engine of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...processes.cluster import run_on_cluster
from ...processes.worker_pool import run_in_workers
from ...runtime.engines import default_threads
from ...runtime.errors import ExitCode
from .folder_scan import FolderScan
from .job import SegmentJob

if TYPE_CHECKING:
    from ...processes.cluster import Cluster
    from ...runtime.hooks import Progress
    from ...runtime.record import Outcome


@dataclass(frozen=True)
class _Segmenting:
    """Opens the bundle once in a worker, and segments the scans it receives."""

    job: SegmentJob
    cleans_up: ClassVar[bool] = True  # removes a half-written label map and the files of an unpacked bundle
    advice: ClassVar[str] = "take fewer --workers"

    @contextmanager
    def ready(self) -> Generator[Callable[[FolderScan, Progress], Outcome]]:
        with self.job.load() as segmenter:
            yield lambda case, progress: case.run(segmenter, self.job.options, progress)

    def failed(self, item: FolderScan, reason: str) -> Outcome:
        return item.failed(reason, ExitCode.RESOURCE)


def segment_in_jobs(
    job: SegmentJob, cases: Sequence[FolderScan], cluster: Cluster
) -> Generator[tuple[FolderScan, Outcome]]:
    """Segments scans in jobs of a cluster; yields (case, outcome) as each one finishes, see `run_on_cluster`.

    A scan whose job dies has exit code 5.

    Args:
        job: bundle and options; engine and precision are named, so that each machine uses the same. A device that is
            not named is the CPU.
        cases: the scans; all machines find them at the same absolute paths.
        cluster: where the jobs run.

    Raises:
        BedsideError: no scan can be segmented: the bundle is refused, the options are wrong, or there are no jobs.
    """
    work = _Segmenting(job.for_several_machines().at_absolute_paths())
    return run_on_cluster(work, [case.at_absolute_paths() for case in cases], cluster)


def segment_in_workers(
    job: SegmentJob, cases: Sequence[FolderScan], workers: int, progress: Progress
) -> Generator[tuple[FolderScan, Outcome]]:
    """Segments scans in several processes; yields (case, outcome) as each one finishes, see `run_in_workers`.

    A scan whose worker dies has exit code 5. A label map is written completely or not at all, however a worker ends.

    Args:
        job: bundle and options; its threads are divided among the workers.
        cases: the scans.
        workers: number of processes.
        progress: called with (windows done, windows in total), summed over the scans in progress.

    Raises:
        BedsideError: no scan can be segmented: the bundle is refused, or the options are wrong.
    """
    job = job.with_threads(max(1, (job.engine.threads or default_threads()) // workers))
    # The first worker loads alone: it may have to find the fastest engine, and others would distort its timings.
    return run_in_workers(_Segmenting(job), cases, workers, progress, first_alone=True)
