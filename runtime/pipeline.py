"""The pipeline of one scan: runs the network over it, restores labels on the scan's grid and post-processes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .labels.best_class import label_dtype
from .labels.postprocess import cut_by_body, emptied, postprocess
from .labels.restore import LabelRestorer, Labels
from .memory.memory_limit import Reserve, if_free
from .preprocessing.plausibility import geometry_warnings, modality_warnings
from .result import Result, label_volumes

if TYPE_CHECKING:
    from .preprocessing.body_mask import BodyMask
    from .scan_pass import ScanPass

_NO_ORGAN = "the locator found no organ of the task in the scan, so no window was run; without the locator all are"


class ScanPipeline:
    """Segments one scan on one engine.

    Args:
        scan_pass: the pass of the student's windows over the scan, which has not run yet.
        reserve: reserves memory for post-processing, once the windows have run.
    """

    def __init__(self, scan_pass: ScanPass, reserve: Reserve = if_free) -> None:
        self._reserve = reserve
        self._pass, self._request, self._hooks = scan_pass, scan_pass.request, scan_pass.hooks

    def run(self) -> Result:
        """Segments the scan and post-processes its label map.

        Raises:
            InputError: the scan is refused; for a file this may only be detected after the last plane.
            ResourceError: the engine failed, or memory ran out.
            Cancelled: ``cancel()`` returned true.
        """
        region = self._pass.region
        if region is not None and region.is_empty:
            return self._finish(self._without_windows())
        return self._finish(self._label())

    def _label(self) -> _Labelled:
        request, order = self._request, self._pass.plan.order
        classes = request.task.num_classes
        result = self._pass.run(lambda: LabelRestorer(classes, order.grid(request.grid), request.scan.grid))
        run = result.run
        return _Labelled(
            result.received.labels(),
            run.computed,
            run.skipped,
            run.without_organ,
            run.not_finite,
            result.warnings,
            result.body,
        )

    def _without_windows(self) -> _Labelled:
        """Returns the empty label map of a scan without organs, which the locator has read to its end."""
        scan, task, windows = self._request.scan, self._request.task, len(self._pass.plan.windows)
        labels = np.zeros(scan.grid.shape, label_dtype(task.num_classes), order="F")
        warnings = (*geometry_warnings(scan.grid, task), _NO_ORGAN)
        self._hooks.report(windows, windows)
        return _Labelled(labels, 0, 0, windows, 0, warnings, None)

    def _finish(self, labelled: _Labelled) -> Result:
        request, labels, grid = self._request, labelled.labels, self._request.scan.grid
        with self._hooks.stopwatch.stage("restore"):
            removed = ()
            if labelled.computed:  # without windows there is nothing to remove
                removed = postprocess(
                    labels,
                    request.task.labels,
                    grid,
                    request.postprocessing,
                    labelled.body,
                    self._hooks.cancel,
                    self._reserve,
                )
            volumes = label_volumes(labels, request.task.labels, grid)
        modality = modality_warnings(request.scan.modality, request.task)
        located = () if self._pass.region is None else self._pass.region.warnings
        lost = (*emptied(removed, volumes), *cut_by_body(removed, volumes))
        empty = () if labels.any() else ("the result is empty: no voxel was labelled",)
        return Result(
            labels=labels,
            grid=grid,
            volumes_ml=volumes,
            timings=self._hooks.stopwatch.milliseconds,
            warnings=tuple(dict.fromkeys((*modality, *located, *labelled.warnings, *lost, *empty))),
            engine=self._pass.engine.name,
            precision=self._pass.engine.precision,
            windows=labelled.computed,
            windows_skipped=labelled.skipped,
            windows_without_organ=labelled.without_organ,
            windows_not_finite=labelled.not_finite,
            postprocessing=removed,
            device=self._pass.engine.device,
        )


@dataclass(frozen=True, eq=False)
class _Labelled:
    """The label map [X, Y, Z] before post-processing, with the numbers of windows, the warnings and the body."""

    labels: Labels
    computed: int
    skipped: int
    without_organ: int
    not_finite: int
    warnings: tuple[str, ...]
    body: BodyMask | None
