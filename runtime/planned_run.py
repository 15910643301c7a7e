"""Segmenting a scan by a plan that another process made, and for which that process holds the memory."""

from __future__ import annotations

from .execution_plan import ScanPlan
from .hooks import Cancel, Hooks, Progress
from .reserved_scan import ReservedScan
from .result import Result
from .scans.nifti_header import Form
from .segmentation_options import SegmentationOptions
from .segmenter import Scannable, Segmenter


def run_planned(
    segmenter: Segmenter,
    scan: Scannable,
    plan: ScanPlan,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    *,
    volume: int | None = None,
    prefer: Form | None = None,
) -> Result:
    """Segments a scan by the plan of a `ReservedScan` of another process.

    The plan holds the overlap and the locator's windows. The other options of `Segmenter.reserve` are not carried over:
    air is skipped, NaN is refused, and the bundle's own post-processing runs.

    Args:
        segmenter: the same bundle, opened in this process.
        scan: as in `Segmenter.reserve`, like `volume` and `prefer`.
        plan: the plan of the same scan.
        progress: called with (windows done, windows in total).
        cancel: called before every window and stage; returns true to stop.
        volume: as in `Segmenter.segment`.
        prefer: as in `Segmenter.segment`.

    Raises:
        InputError: the scan is refused.
        ResourceError: the engine failed, or memory ran out.
        Cancelled: ``cancel()`` returned true.
        UsageError: the segmenter is closed.
    """
    model = segmenter.model
    locator = None if plan.locating is None else model.locator
    hooks = Hooks(None, cancel)
    options = SegmentationOptions(None, True, cancel, None, True, None, volume, prefer)
    request = options.request(scan, segmenter.bundle.manifest, hooks)
    return ReservedScan(request, plan, model, locator, hooks, segmenter.check_usable).run(progress)
