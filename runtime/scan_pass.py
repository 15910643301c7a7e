"""One pass of a network over a scan: cuts windows, runs them, and hands on the blended logits block by block."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from .preprocessing.body import MARGIN_VOXELS
from .preprocessing.body_mask import BodyMask
from .preprocessing.preprocess import to_model_input
from .windows.blend import blend
from .windows.window_input import InMemoryInput, StreamedInput
from .windows.window_run import WindowRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from .engines import Engine
    from .execution_plan import ExecutionPlan
    from .hooks import Hooks
    from .request import SegmentationRequest
    from .windows.blend import ScoreBlock
    from .windows.organ_region import OrganRegion
    from .windows.window_input import WindowInput


class BlockReceiver(Protocol):
    """Receives the blended logits of a scan, as `blend` yields them."""

    def add(self, block: ScoreBlock) -> None:
        """Called with each block once."""
        ...


Receiver = TypeVar("Receiver", bound=BlockReceiver)


@dataclass(frozen=True, eq=False)
class PassResult(Generic[Receiver]):
    """The outcome of a pass.

    Attributes:
        received: the receiver, with the blocks of the whole scan.
        run: the run of the windows, with their numbers.
        warnings: warnings about the scan and the windows, one line each.
        body: body mask on the task's grid; None unless post-processing needs it.
    """

    received: Receiver
    run: WindowRun
    warnings: tuple[str, ...]
    body: BodyMask | None


@dataclass(frozen=True, eq=False)
class ScanPass:
    """Runs the windows of one execution plan over a scan.

    Attributes:
        engine: the engine that runs the windows.
        request: the scan, its task and the options.
        plan: the execution plan chosen for this request.
        hooks: the caller's callbacks and the stopwatch.
        region: the region with organs; windows that hold no part of it are left out. None leaves out none.
    """

    engine: Engine
    request: SegmentationRequest
    plan: ExecutionPlan
    hooks: Hooks
    region: OrganRegion | None = None

    def run(self, new_receiver: Callable[[], Receiver]) -> PassResult[Receiver]:
        """Runs the windows and gives the blocks of blended logits to a receiver.

        Args:
            new_receiver: makes the receiver; called again where all windows have to run after all.

        Raises:
            InputError: the scan is refused; for a file this may only be detected after the last plane.
            ResourceError: the engine failed, or memory ran out.
            Cancelled: ``cancel()`` returned true.
        """
        opened = self._open_input()
        result = self._run(opened, self.request.skip_air, new_receiver())
        if self.request.skip_air and not opened.source.found_body:
            # Only the last plane shows that no voxel is above air; run all windows, as for a scan prepared whole.
            del opened, result  # their memory is needed again
            result = self._run(self._open_input(), False, new_receiver())
        self.hooks.stop_if_cancelled()
        return result

    def _open_input(self) -> _OpenedInput:
        request, plan, stopwatch = self.request, self.plan, self.hooks.stopwatch
        keep_body = request.postprocessing.within_body
        with stopwatch.stage("preprocess"):
            if plan.streamed:
                body = BodyMask(request.grid, MARGIN_VOXELS) if keep_body else None
                return _OpenedInput(StreamedInput(request, plan.windows, stopwatch, body), body)
            with stopwatch.stage("read"):
                volume = request.scan.load()
            self.hooks.stop_if_cancelled()
            prepared = to_model_input(volume, request.task)
            del volume  # its memory is needed for padding
            body = BodyMask(request.grid) if keep_body else None
            if body is not None:
                for plane in prepared.body:
                    body.add(plane)
            return _OpenedInput(InMemoryInput(prepared, plan.windows, plan.order, request.task.intensity.air), body)

    def _run(self, opened: _OpenedInput, skip_air: bool, receiver: Receiver) -> PassResult[Receiver]:
        plan, stopwatch, region = self.plan, self.hooks.stopwatch, self.region
        organs = None if region is None else region.windows(plan.windows, plan.order, self.request.grid)
        run = WindowRun(self.engine, plan, opened.source, skip_air, self.hooks, organs)
        with stopwatch.stage("blend"), closing(run.windows()) as scores:  # ends the run if the loop fails
            for block in blend(plan.windows, scores, self.request.task.num_classes, plan.dtype, plan.order):
                with stopwatch.stage("restore"):
                    receiver.add(block)
        self.hooks.stop_if_cancelled()
        with stopwatch.stage("preprocess"):
            warnings = opened.source.finish()
        return PassResult(receiver, run, (*warnings, *run.warnings()), opened.body)


@dataclass(frozen=True, eq=False)
class _OpenedInput:
    """The scan that windows are cut from, and the body mask that fills as it is read; None where none is needed."""

    source: WindowInput
    body: BodyMask | None
