"""One scan's way through the network: windows in, labels out."""

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
    """Segments one scan on one engine, the way that was chosen.

    Args:
        engine: runs the windows.
        task: the bundle's task.
        scan: the scan.
        grid: the task's grid for it.
        way: how it is worked through.
        watch: gets the time of each stage.
        progress: called with (windows done or skipped, windows in all).
        cancel: asked before every window and stage.
        keep_body: keep where the body is, for post-processing.

    Attributes:
        body: where the body is on the task's grid, if it was to be kept.
        computed: windows the network saw.
        skipped: windows left out because they hold no body.
        warnings: what a person should know, one line each.
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
        """Returns the labels [X, Y, Z] on the scan's own grid.

        Args:
            skip_air: leave out windows without body.

        Raises:
            InputError: the scan is refused; of a file this may come out only at its end.
            ResourceError: the engine failed, or memory ran out.
            Cancelled: ``cancel()`` returned true.
        """
        with self._watch.stage("preprocess"):
            source = self._source()
        labels = self._pass(source, skip_air)
        if isinstance(source, StreamedInput) and skip_air and not source.found_body:
            # Only now is it known that nothing rises above air: the scan is searched whole, as a prepared one would be.
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
            self._engine, way.plan, way.order, source, watch,
            skip_air=skip_air, progress=self._progress, cancel=self._cancel,
        )  # fmt: skip
        restorer = LabelRestorer(self._task.num_classes, way.order.grid(self._grid), self._scan.grid)
        with watch.stage("blend"), closing(self._blocks(run)) as blocks:  # ends the run where an error ends the loop
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
