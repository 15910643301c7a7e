"""Segmenting a scan by a plan that another process made, and for which that process holds the memory."""

from __future__ import annotations

from .execution_plan import ScanPlan
from .hooks import Cancel, Hooks, Progress
from .reserved_scan import ReservedScan
from .result import Result
from .segmentation_options import SegmentationOptions
from .segmenter import Scannable, Segmenter


def run_planned(
    segmenter: Segmenter,
    scan: Scannable,
    plan: ScanPlan,
    options: SegmentationOptions,
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Result:
    """Segments a scan by the plan of a `ReservedScan` of another process.

    Args:
        segmenter: the same bundle, opened in this process.
        scan: as in `Segmenter.reserve`.
        plan: the plan of the same scan; it holds the overlap and the locator's windows.
        options: those that the scan was reserved with.
        progress: called with (windows done, windows in total).
        cancel: called before every window and stage; returns true to stop.

    Raises:
        InputError: the scan is refused.
        ResourceError: the engine failed, or memory ran out.
        Cancelled: ``cancel()`` returned true.
        UsageError: the segmenter is closed.
    """
    model = segmenter.model
    locator = None if plan.locating is None else model.locator
    hooks = Hooks(None, cancel)
    request = options.request(scan, segmenter.bundle.manifest, hooks)
    return ReservedScan(request, plan, model, locator, hooks, segmenter.check_usable).run(progress)
