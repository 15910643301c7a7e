"""The caller's options of one segmentation, and the request that they make of a scan and a bundle's task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import arguments
from .errors import ResourceError
from .labels.postprocess import Postprocessing
from .request import SegmentationRequest
from .scans.open_scan import open_scan

if TYPE_CHECKING:
    from .bundles.manifest import Manifest
    from .hooks import Cancel, Hooks
    from .scans.sform_qform import Form


@dataclass(frozen=True, eq=False)
class SegmentationOptions:
    """The options of one call of `Segmenter.segment`, which explains them, as the caller gave them."""

    overlap: float | None
    skip_air: bool
    cancel: Cancel | None
    postprocessing: Postprocessing | None
    use_locator: bool
    replace_nan: float | None = None
    volume: int | None = None
    prefer: Form | None = None

    def request(self, scan: Any, manifest: Manifest, hooks: Hooks) -> SegmentationRequest:
        """Checks the options, opens the scan, and takes from the bundle what the caller left open.

        Args:
            scan: what `open_scan` accepts.
            manifest: the bundle's manifest.
            hooks: times the opening as stage ``read``; `cancel` is asked before.

        Raises:
            InputError: the scan is refused.
            ResourceError: memory ran out.
            Cancelled: ``cancel()`` returned true.
            UsageError: an option has the wrong type or is out of range, or the task has no such label.
        """
        overlap = arguments.optional(arguments.overlap_share, "overlap", self.overlap)
        skip_air = arguments.flag("skip_air", self.skip_air)
        arguments.flag("use_locator", self.use_locator)
        arguments.optional(arguments.callback, "cancel", self.cancel, does="that says whether to stop")
        steps = arguments.optional(arguments.instance, "postprocessing", self.postprocessing, Postprocessing)
        steps = manifest.postprocessing if steps is None else steps
        steps.check(manifest.task.labels)
        hooks.stop_if_cancelled()
        try:
            with hooks.stopwatch.stage("read"):
                source = open_scan(
                    scan, volume=self.volume, replace_nan=self.replace_nan, prefer=self.prefer, cancel=self.cancel
                )
        except MemoryError:
            raise ResourceError("memory ran out while the scan was read; free memory or crop the scan") from None
        overlap = manifest.recommended_overlap if overlap is None else overlap
        return SegmentationRequest(source, manifest.task, overlap, skip_air, steps)
