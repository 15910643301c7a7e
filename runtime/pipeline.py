"""The pipeline of one scan: runs the network over it, restores labels on the scan's grid and post-processes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .labels.best_class import label_dtype
from .labels.postprocess import emptied, postprocess
from .labels.restore import LabelRestorer, Labels
from .preprocessing.plausibility import geometry_warnings
from .result import Result, label_volumes
from .scan_pass import ScanPass

if TYPE_CHECKING:
    from .engines import Engine
    from .execution_plan import ExecutionPlan
    from .hooks import Hooks
    from .preprocessing.body_mask import BodyMask
    from .request import SegmentationRequest
    from .windows.organ_region import OrganRegion

_NO_ORGAN = "the locator found no organ of the task in the scan, so no window was run (--no-locator runs them)"


class ScanPipeline:
    """Segments one scan on one engine.

    Args:
        engine: the engine that runs the windows.
        request: the scan, its task and the options.
        plan: the execution plan chosen for this request.
        hooks: the caller's callbacks and the stopwatch.
        region: where a locator found organs; windows that hold no part of it are left out. None leaves out none.
    """

    def __init__(
        self,
        engine: Engine,
        request: SegmentationRequest,
        plan: ExecutionPlan,
        hooks: Hooks,
        region: OrganRegion | None = None,
    ) -> None:
        self._engine, self._request, self._plan, self._hooks, self._region = engine, request, plan, hooks, region

    def run(self) -> Result:
        """Segments the scan and post-processes its label map.

        Raises:
            InputError: the scan is refused; for a file this may only be detected after the last plane.
            ResourceError: the engine failed, or memory ran out.
            Cancelled: ``cancel()`` returned true.
        """
        if self._region is not None and self._region.is_empty:
            return self._finish(self._without_windows())
        return self._finish(self._label())

    def _label(self) -> _Labelled:
        request, plan = self._request, self._plan
        classes = request.task.num_classes
        result = ScanPass(self._engine, request, plan, self._hooks, self._region).run(
            lambda: LabelRestorer(classes, plan.order.grid(request.grid), request.scan.grid)
        )
        run = result.run
        return _Labelled(
            result.received.labels(), run.computed, run.skipped, run.without_organ, result.warnings, result.body
        )

    def _without_windows(self) -> _Labelled:
        """Returns the empty label map of a scan without organs, which the locator has read to its end."""
        scan, task, windows = self._request.scan, self._request.task, len(self._plan.windows)
        labels = np.zeros(scan.grid.shape, label_dtype(task.num_classes), order="F")
        warnings = (*geometry_warnings(scan.grid, task), _NO_ORGAN)
        self._hooks.report(windows, windows)
        return _Labelled(labels, 0, 0, windows, warnings, None)

    def _finish(self, labelled: _Labelled) -> Result:
        request, labels, grid = self._request, labelled.labels, self._request.scan.grid
        with self._hooks.stopwatch.stage("restore"):
            removed = ()
            if labelled.computed:  # without windows there is nothing to remove
                removed = postprocess(
                    labels, request.task.labels, grid, request.postprocessing, labelled.body, self._hooks.cancel
                )
            volumes = label_volumes(labels, request.task.labels, grid)
        located = () if self._region is None else self._region.warnings
        empty = () if labels.any() else ("the result is empty: no voxel was labelled",)
        return Result(
            labels=labels,
            grid=grid,
            volumes_ml=volumes,
            timings=self._hooks.stopwatch.milliseconds,
            warnings=tuple(dict.fromkeys((*located, *labelled.warnings, *emptied(removed, volumes), *empty))),
            engine=self._engine.name,
            precision=self._engine.precision,
            windows=labelled.computed,
            windows_skipped=labelled.skipped,
            windows_without_organ=labelled.without_organ,
            postprocessing=removed,
        )


@dataclass(frozen=True, eq=False)
class _Labelled:
    """The label map [X, Y, Z] before post-processing, with the numbers of windows, the warnings and the body."""

    labels: Labels
    computed: int
    skipped: int
    without_organ: int
    warnings: tuple[str, ...]
    body: BodyMask | None
