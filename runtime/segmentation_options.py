"""The caller's options of one segmentation, and the request that they make of a scan and a bundle's task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from . import arguments
from .errors import ResourceError
from .labels.postprocess import Postprocessing
from .request import SegmentationRequest
from .scans.open_scan import open_scan
from .scans.sform_qform import FORMS, Form

if TYPE_CHECKING:
    from .bundles.manifest import Manifest
    from .hooks import Hooks


class SegmentationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one segmentation, as `Segmenter.segment` explains them. NumPy's numbers become Python's.

    Raises:
        UsageError: an option has the wrong type or is out of range.
    """

    overlap: float | None = None
    skip_air: bool = True
    use_locator: bool = True
    volume: int | None = None
    replace_nan: float | None = None
    prefer: Form | None = None
    postprocessing: Postprocessing | None = None

    def __post_init__(self) -> None:
        checked = {
            "overlap": arguments.optional(arguments.overlap_share, "overlap", self.overlap),
            "skip_air": arguments.flag("skip_air", self.skip_air),
            "use_locator": arguments.flag("use_locator", self.use_locator),
            "volume": arguments.optional(arguments.whole_number, "volume", self.volume, 0),
            "replace_nan": arguments.optional(arguments.float32, "replace_nan", self.replace_nan),
        }
        for name, value in checked.items():
            msgspec.structs.force_setattr(self, name, value)
        arguments.optional(arguments.one_of, "prefer", self.prefer, FORMS)
        arguments.optional(arguments.instance, "postprocessing", self.postprocessing, Postprocessing)

    def request(self, scan: Any, manifest: Manifest, hooks: Hooks) -> SegmentationRequest:
        """Opens the scan, and takes from the bundle what the caller left open.

        Args:
            scan: what `open_scan` accepts.
            manifest: the bundle's manifest.
            hooks: times the opening as stage ``read``; `cancel` is asked before, and before every plane that is read.

        Raises:
            InputError: the scan is refused.
            ResourceError: memory ran out.
            Cancelled: ``cancel()`` returned true.
            UsageError: ``scan`` is none, or the task has no such label.
        """
        steps = manifest.postprocessing if self.postprocessing is None else self.postprocessing
        steps.check(manifest.task.labels)
        hooks.stop_if_cancelled()
        try:
            with hooks.stopwatch.stage("read"):
                source = open_scan(
                    scan, volume=self.volume, replace_nan=self.replace_nan, prefer=self.prefer, cancel=hooks.cancel
                )
        except MemoryError:
            raise ResourceError("memory ran out while the scan was read; free memory or crop the scan") from None
        overlap = manifest.recommended_overlap if self.overlap is None else self.overlap
        return SegmentationRequest(source, manifest.task, overlap, self.skip_air, steps)
