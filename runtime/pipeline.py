"""The pipeline of one scan: cuts windows, runs the network, blends logits, restores labels and post-processes them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .labels.postprocess import emptied, postprocess
from .labels.restore import LabelRestorer, Labels
from .preprocessing.body import MARGIN_VOXELS
from .preprocessing.body_mask import BodyMask
from .preprocessing.preprocess import to_model_input
from .result import Result, label_volumes
from .windows.blend import blend
from .windows.window_input import InMemoryInput, StreamedInput, WindowInput
from .windows.window_run import WindowRun

if TYPE_CHECKING:
    from .engines import Engine
    from .execution_plan import ExecutionPlan
    from .hooks import Hooks
    from .request import SegmentationRequest


class ScanPipeline:
    """Segments one scan on one engine.

    Args:
        engine: the engine that runs the windows.
        request: the scan, its task and the options.
        plan: the execution plan chosen for this request.
        hooks: the caller's callbacks and the stopwatch.
    """

    def __init__(self, engine: Engine, request: SegmentationRequest, plan: ExecutionPlan, hooks: Hooks) -> None:
        self._engine, self._request, self._plan, self._hooks = engine, request, plan, hooks
        self._body: BodyMask | None = None  # on the task's grid, if post-processing needs it

    def run(self) -> Result:
        """Segments the scan and post-processes its label map.

        Raises:
            InputError: the scan is refused; for a file this may only be detected after the last plane.
            ResourceError: the engine failed, or memory ran out.
            Cancelled: ``cancel()`` returned true.
        """
        skip_air = self._request.skip_air
        source = self._open_input()
        labelled = self._label(source, skip_air)
        if skip_air and not source.found_body:
            # Only the last plane shows that no voxel is above air; run all windows, as for a scan prepared whole.
            labelled = self._label(self._open_input(), skip_air=False)
        self._hooks.stop_if_cancelled()
        return self._finish(labelled)

    def _open_input(self) -> WindowInput:
        request, plan, stopwatch = self._request, self._plan, self._hooks.stopwatch
        keep_body = request.postprocessing.within_body
        with stopwatch.stage("preprocess"):
            if plan.streamed:
                self._body = BodyMask(request.grid, MARGIN_VOXELS) if keep_body else None
                return StreamedInput(request, plan.windows, stopwatch, self._body)
            with stopwatch.stage("read"):
                volume = request.scan.load()
            self._hooks.stop_if_cancelled()
            prepared = to_model_input(volume, request.task)
            if keep_body:
                self._body = BodyMask(request.grid)
                for plane in prepared.body:
                    self._body.add(plane)
            return InMemoryInput(prepared, plan.windows, plan.order, request.task.intensity.air)

    def _label(self, source: WindowInput, skip_air: bool) -> _Labelled:
        request, plan, stopwatch = self._request, self._plan, self._hooks.stopwatch
        classes = request.task.num_classes
        run = WindowRun(self._engine, plan, source, skip_air, self._hooks)
        restorer = LabelRestorer(classes, plan.order.grid(request.grid), request.scan.grid)
        with stopwatch.stage("blend"), closing(run.windows()) as scores:  # ends the run if the loop fails
            for block in blend(plan.windows, scores, classes, plan.dtype, plan.order):
                with stopwatch.stage("restore"):
                    restorer.add(block)
        self._hooks.stop_if_cancelled()
        with stopwatch.stage("preprocess"):
            warnings = source.finish()
        return _Labelled(restorer.labels(), run.computed, run.skipped, (*warnings, *run.warnings()))

    def _finish(self, labelled: _Labelled) -> Result:
        request, labels, grid = self._request, labelled.labels, self._request.scan.grid
        with self._hooks.stopwatch.stage("restore"):
            removed = postprocess(
                labels, request.task.labels, grid, request.postprocessing, self._body, self._hooks.cancel
            )
            volumes = label_volumes(labels, request.task.labels, grid)
        empty = () if labels.any() else ("the result is empty: no voxel was labelled",)
        return Result(
            labels=labels,
            grid=grid,
            volumes_ml=volumes,
            timings=self._hooks.stopwatch.milliseconds,
            warnings=tuple(dict.fromkeys((*labelled.warnings, *emptied(removed, volumes), *empty))),
            engine=self._engine.name,
            precision=self._engine.precision,
            windows=labelled.computed,
            windows_skipped=labelled.skipped,
            postprocessing=removed,
        )


@dataclass(frozen=True, eq=False)
class _Labelled:
    """The label map [X, Y, Z] before post-processing, with the number of windows and the warnings."""

    labels: Labels
    computed: int
    skipped: int
    warnings: tuple[str, ...]
