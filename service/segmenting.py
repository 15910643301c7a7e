"""What the worker process does: it opens the bundles, segments one scan at a time, and writes the files of its job.

It is a process of its own, because an engine that crashes, or that the system kills for memory, ends its process.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..runtime.engine_selection.self_test import warm_up
from ..runtime.errors import ExitCode
from ..runtime.hooks import Progress
from ..runtime.planned_run import run_planned
from .answers import ResultAnswer
from .bundle_source import BundleSource
from .refusal import Failure, failure_of
from .wording import for_clients

if TYPE_CHECKING:
    from ..dicom import DicomSeries
    from ..runtime.execution_plan import ScanPlan
    from ..runtime.result import Result
    from ..runtime.segmentation_options import SegmentationOptions
    from ..runtime.segmenter import Segmenter

LABELS, SEGMENTATION, WANTED = "labels.nii.gz", "segmentation.dcm", "wanted"


@dataclass(frozen=True)
class ScanItem:
    """The item that a worker process takes for a job: a scan whose memory the server has reserved.

    Attributes:
        bundle: name of the bundle.
        folder: the job's folder; the job is cancelled when the file `WANTED` in it is no longer there.
        scan: the NIfTI file, or the series.
        plan: how it is segmented.
        options: those that its memory was reserved with.
    """

    bundle: str
    folder: Path
    scan: Path | DicomSeries
    plan: ScanPlan
    options: SegmentationOptions

    def is_cancelled(self) -> bool:
        """Whether nobody wants the result any more."""
        return not (self.folder / WANTED).exists()


@dataclass(frozen=True)
class Started:
    """The item that a worker process takes first: its answer says that the bundles are open."""


Answer = ResultAnswer | Failure | Started


@dataclass(frozen=True)
class Segmenting:
    """The work of the worker process.

    Attributes:
        bundles: the bundles to open.
    """

    bundles: tuple[BundleSource, ...]
    cleans_up: ClassVar[bool] = True
    advice: ClassVar[str] = "free memory or crop the scan"

    @contextmanager
    def ready(self) -> Generator[Callable[[ScanItem | Started, Progress], Answer]]:
        """Opens the bundles, and yields the function that segments a scan."""
        with ExitStack() as opened:
            segmenters = {source.name: opened.enter_context(source.open()) for source in self.bundles}
            for segmenter in segmenters.values():
                warm_up(segmenter.engine)  # so that all memory but that of scans is taken before the first one

            def answer(item: ScanItem | Started, progress: Progress) -> Answer:
                if isinstance(item, Started):
                    return item
                try:
                    return _segmented(item, segmenters[item.bundle], progress)
                except Exception as error:  # whatever it is, the client gets the reason and the next job begins
                    return failure_of(error)

            yield answer

    def failed(self, item: ScanItem | Started, reason: str) -> Answer:
        """Returns the answer to an item whose process ended."""
        return Failure(int(ExitCode.RESOURCE), f"the scan was not segmented: {reason}; the service goes on")


def _segmented(item: ScanItem, segmenter: Segmenter, progress: Progress) -> ResultAnswer:
    """Segments a scan, writes its files, and returns what the API answers about it."""
    result = run_planned(segmenter, item.scan, item.plan, item.options, progress=progress, cancel=item.is_cancelled)
    result.save(item.folder / LABELS)
    warnings = [for_clients(each) for each in result.warnings]
    is_written = False
    if not isinstance(item.scan, Path):
        try:
            _write_segmentation(item.folder, item.scan, result, segmenter)
            is_written = True
        except Exception as error:  # whatever it is, the label map is there
            warnings.append(f"there is no DICOM segmentation of this series: {failure_of(error).message}")
    return ResultAnswer(
        volumes_ml=dict(result.volumes_ml),
        warnings=warnings,
        notes=[for_clients(each) for each in result.notes],
        needs_review=bool(warnings),
        shape=list(result.labels.shape),
        spacing=[float(each) for each in result.grid.spacing],
        engine=result.engine,
        precision=result.precision,
        device=result.device,
        seconds=sum(result.timings.values()) / 1000,
        segmentation=is_written,
    )


def _write_segmentation(folder: Path, series: DicomSeries, result: Result, segmenter: Segmenter) -> None:
    from ..dicom import write_segmentation

    names, sha256 = segmenter.task.labels, segmenter.bundle.sha256
    write_segmentation(folder / SEGMENTATION, result.labels, names, series, bundle_sha256=sha256)
