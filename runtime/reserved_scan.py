"""A scan whose memory is reserved: it was opened and planned, and is segmented when the caller runs it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .errors import ResourceError
from .hooks import Hooks, Progress
from .pipeline import ScanPipeline
from .scan_pass import ScanPass

if TYPE_CHECKING:
    from .execution_plan import ScanPlan
    from .locator import Locator
    from .opened_model import OpenedModel
    from .request import SegmentationRequest
    from .result import Result

_log = logging.getLogger("bedside.segmenter")
_FULL = "memory ran out while the scan was segmented; free memory or crop the scan"


@dataclass(frozen=True, eq=False)
class ReservedScan:
    """One scan that fits into memory; `Segmenter.reserve` makes it and holds the memory for it.

    Attributes:
        request: the scan, its task and the options.
        plan: the plans of the passes over it.
        model: the opened networks, and the memory that they and the scans may use.
        locator: the bundle's locator; None where none is used.
        hooks: the cancel callback and the stopwatch.
        check: raises `UsageError` where the segmenter can no longer be used.
    """

    request: SegmentationRequest
    plan: ScanPlan
    model: OpenedModel
    locator: Locator | None
    hooks: Hooks
    check: Callable[[], None]

    @property
    def bytes(self) -> int:
        """Memory reserved for the scan and what is written of it: the predicted peak, in bytes."""
        return self.plan.bytes

    def sha256(self) -> str | None:
        """Returns the SHA-256 of the scan that `run` segments; None for one in memory.

        Raises:
            InputError: the scan was changed or replaced since it was opened.
        """
        return self.request.scan.sha256()

    def further(self, needed: int, what: str, advice: str) -> AbstractContextManager[object]:
        """Reserves memory that is taken beside the label map once the windows have run, before results are written.

        Args:
            needed: bytes; what the plan has reserved and does not need at that time is used first.
            what: what needs them, for the message.
            advice: what the user can do beside freeing memory or raising the limit.

        Raises:
            ResourceError: they are above the limit, or not free.
        """
        return self.model.holding(self.request.label_bytes + needed - self.plan.bytes, what, advice)

    def run(self, progress: Progress | None = None) -> Result:
        """Segments the scan; called once, within the ``with`` block of `Segmenter.reserve`.

        Args:
            progress: called with (windows done, windows in total).

        Raises:
            InputError: the scan is refused, which may only be detected after its last plane.
            ResourceError: the engine failed, or memory ran out.
            Cancelled: the ``cancel()`` given to `Segmenter.reserve` returned true.
            UsageError: the segmenter was closed meanwhile.
        """
        self.check()
        try:
            return self._run(replace(self.hooks, progress=progress))
        except MemoryError:
            raise ResourceError(_FULL) from None

    def _run(self, hooks: Hooks) -> Result:
        region, main, grid = None, self.plan.main, self.request.scan.grid
        windows = len(main.windows)
        if self.locator is not None and self.plan.locating is not None:
            before = len(self.plan.locating.windows)
            region = self.locator.find(self.request, self.plan.locating, hooks.part(0, before + windows))
            hooks = hooks.part(before, before + windows)
        reading = "read as the windows move" if main.streamed else "prepared whole"
        _log.debug("%r, for the model %r: %d windows, %s", grid, self.request.grid, windows, reading)
        scan_pass = ScanPass(self.model.engine, self.request, main, hooks, region)
        result = replace(ScanPipeline(scan_pass, self.further).run(), short_of_memory=self.plan.is_short)
        seconds = sum(result.timings.values()) / 1000
        left_out = f"{result.windows_skipped} of air, {result.windows_without_organ} without organ"
        _log.info("%r: %d windows, %s, %.2f s", grid, result.windows, left_out, seconds)
        _log.debug("milliseconds: %s", ", ".join(f"{stage} {spent:.0f}" for stage, spent in result.timings.items()))
        return result
