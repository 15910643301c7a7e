"""The pipeline of one scan: cuts windows, runs the network, blends logits and restores labels."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING

from .callbacks import Cancel, Progress, stop_if
from .labels.restore import LabelRestorer, Labels
from .preprocessing.body import MARGIN_VOXELS
from .preprocessing.body_mask import BodyMask
from .preprocessing.preprocess import to_model_input
from .windows.blend import Block, blend
from .windows.window_input import InMemoryInput, StreamedInput, WindowInput
from .windows.window_run import WindowRun

if TYPE_CHECKING:
    from .engines import Engine
    from .execution_plan import ExecutionPlan
    from .scans.geometry import Grid
    from .scans.scan import Scan
    from .stopwatch import Stopwatch
    from .task import Task


class ScanPipeline:
    """Segments one scan on one engine, following an execution plan.

    Args:
        engine: the engine that runs the windows.
        task: the bundle's task.
        scan: the scan to segment.
        grid: the task's grid for this scan.
        way: the execution plan chosen for this scan.
        watch: stopwatch that adds up the time of each stage.
        progress: called with (windows done or skipped, windows in total).
        cancel: called before every window and stage; returns true to stop.
        keep_body: whether to keep the body mask, for post-processing.

    Attributes:
        body: body mask on the task's grid; None unless ``keep_body`` is set.
        computed: number of windows that the network ran on.
        skipped: number of windows left out because they hold no body.
        warnings: reasons for a person to review the result, one line each.
    """

    def __init__(
        self,
        engine: Engine,
        task: Task,
        scan: Scan,
        grid: Grid,
        way: ExecutionPlan,
        watch: Stopwatch,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        keep_body: bool = False,
    ) -> None:
        self._engine, self._task, self._scan, self._grid, self._way = engine, task, scan, grid, way
        self._watch, self._progress, self._cancel = watch, progress, cancel
        self._keep_body = keep_body
        self.body: BodyMask | None = None
        self.computed = self.skipped = 0
        self.warnings: tuple[str, ...] = ()

    def labels(self, skip_air: bool) -> Labels:
        """Segments the scan and returns its label map [X, Y, Z] on the scan's own grid.

        Args:
            skip_air: whether to skip windows without body.

        Raises:
            InputError: the scan is refused; for a file this may only be detected after the last plane.
            ResourceError: the engine failed, or memory ran out.
            Cancelled: ``cancel()`` returned true.
        """
        with self._watch.stage("preprocess"):
            source = self._source()
        labels = self._pass(source, skip_air)
        if isinstance(source, StreamedInput) and skip_air and not source.found_body:
            # Only the last plane shows that no voxel is above air; run all windows, as for a scan prepared whole.
            labels = self._pass(self._source(), False)
        return labels

    def _source(self) -> WindowInput:
        task, way = self._task, self._way
        if way.streamed:
            self.body = BodyMask(self._grid, MARGIN_VOXELS) if self._keep_body else None
            return StreamedInput(self._scan, task, self._grid, way.plan, self._watch, self.body)
        with self._watch.stage("read"):
            volume = self._scan.load()
        stop_if(self._cancel)
        prepared = to_model_input(volume, task)
        if self._keep_body:
            self.body = BodyMask(self._grid)
            for plane in prepared.body:
                self.body.add(plane)
        return InMemoryInput(prepared, way.plan, way.order, task.intensity.air)

    def _pass(self, source: WindowInput, skip_air: bool) -> Labels:
        way, watch = self._way, self._watch
        run = WindowRun(
            self._engine,
            way.plan,
            way.order,
            source,
            watch,
            skip_air=skip_air,
            progress=self._progress,
            cancel=self._cancel,
        )
        restorer = LabelRestorer(self._task.num_classes, way.order.grid(self._grid), self._scan.grid)
        with watch.stage("blend"), closing(self._blocks(run)) as blocks:  # ends the run if the loop fails
            for block in blocks:
                with watch.stage("restore"):
                    restorer.add(block)
        stop_if(self._cancel)
        with watch.stage("preprocess"):
            told = source.finish()
        self.computed, self.skipped, self.warnings = run.computed, run.skipped, (*told, *run.warnings())
        return restorer.labels()

    def _blocks(self, run: WindowRun) -> Generator[Block]:
        way = self._way
        with closing(run.windows()) as windows:
            yield from blend(way.plan, windows, self._task.num_classes, way.dtype, way.order)
