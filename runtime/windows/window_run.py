"""Runs the engine on the windows of a scan, ahead of the blending, with progress and cancellation."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..thread_pool import thread_pool
from .blend import WindowScores
from .plan import PlanTriple

if TYPE_CHECKING:
    from ..engines import Engine
    from ..execution_plan import ExecutionPlan
    from ..hooks import Hooks
    from .organ_region import OrganWindows
    from .window_input import WindowInput

_Waiting: TypeAlias = "tuple[PlanTriple, Future[NDArray[np.float32]] | None]"  # start, logits to come; None: left out


class WindowRun:
    """Computes the logits of all windows of a plan, in the plan's order.

    While the caller blends results, the engine computes the next windows, as many as it runs in parallel.

    Args:
        engine: the engine that computes the logits.
        plan: the execution plan.
        source: the scan that windows are cut from, in the plan's axis order.
        skip_air: whether to skip windows without body.
        hooks: progress is reported after every window, `cancel` is asked before every one; waiting for the engine
            counts as stage ``infer``, cutting windows as ``preprocess``.
        organs: which windows hold part of the region where a locator found organs; the others are left out. None leaves
            out none.

    Attributes:
        skipped: number of windows left out so far because they hold no body.
        without_organ: number of windows with body left out so far because no organ was found there.
        not_finite: number of windows so far whose logits had NaN or infinity.
    """

    def __init__(
        self,
        engine: Engine,
        plan: ExecutionPlan,
        source: WindowInput,
        skip_air: bool,
        hooks: Hooks,
        organs: OrganWindows | None = None,
    ) -> None:
        self._engine, self._source, self._skip_air, self._hooks = engine, source, skip_air, hooks
        self._plan, self._order, self._organs = plan.windows, plan.order, organs
        self.skipped = self.without_organ = self.not_finite = 0

    @property
    def computed(self) -> int:
        """Number of windows in the plan minus those left out so far."""
        return len(self._plan) - self.skipped - self.without_organ

    def windows(self) -> Generator[WindowScores]:
        """Yields each window's logits; None for windows left out, and for logits with NaN or infinity.

        Raises:
            Cancelled: ``cancel()`` returned true.
            ResourceError: the engine failed.
        """
        ahead = max(1, self._engine.parallel)
        waiting: deque[_Waiting] = deque()
        self._hooks.report(0, len(self._plan))
        with thread_pool(ahead, "bedside-infer") as pool:
            try:
                yield from self._in_order(pool, ahead, waiting)
            finally:
                for _, future in waiting:
                    if future is not None:
                        future.cancel()

    def _in_order(self, pool: ThreadPoolExecutor, ahead: int, waiting: deque[_Waiting]) -> Iterator[WindowScores]:
        done = running = 0
        for start, patch in self._patches():
            waiting.append((start, None if patch is None else pool.submit(self._engine.infer, patch)))
            running += patch is not None
            while waiting and (waiting[0][1] is None or running > ahead):
                oldest, future = waiting.popleft()
                running -= future is not None
                done += 1
                yield self._finished(oldest, future, done)
        while waiting:
            done += 1
            yield self._finished(*waiting.popleft(), done)

    def warnings(self) -> tuple[str, ...]:
        """Returns a warning where windows computed so far had NaN or infinity in their logits."""
        if not self.not_finite:
            return ()
        return (
            f"the network returned NaN or infinity in {self.not_finite} of {self.computed} windows; "
            "these were left out",
        )

    def _patches(self) -> Iterator[tuple[PlanTriple, NDArray[np.float32] | None]]:
        """Yields every window's start and its patch [1, 1, D, H, W] in the model's axes; None if left out."""
        for layers in self._plan.layers:
            with self._hooks.stopwatch.stage("preprocess"):
                self._source.prepare(layers)
            for start in self._plan.starts_of(layers):
                self._hooks.stop_if_cancelled()
                yield start, self._patch(start)

    def _patch(self, start: PlanTriple) -> NDArray[np.float32] | None:
        with self._hooks.stopwatch.stage("preprocess"):
            if self._skip_air and not self._source.has_body(start):
                self.skipped += 1
                return None
            if self._organs is not None and not self._organs.has_organ(start):
                self.without_organ += 1
                return None
            window = self._order.turned_back(self._source.window(start))
            return np.array(window[None, None], np.float32, order="C")

    def _result(self, start: PlanTriple, future: Future[NDArray[np.float32]] | None) -> WindowScores:
        if future is None:
            return WindowScores(start, None)
        with self._hooks.stopwatch.stage("infer"):
            logits = future.result()[0]
        # A sum with NaN or infinity is never finite, and needs no mask in memory; float64 cannot overflow here.
        if np.isfinite(logits.sum(dtype=np.float64)):
            return WindowScores(start, self._order.turned(logits))
        self.not_finite += 1
        return WindowScores(start, None)

    def _finished(self, start: PlanTriple, future: Future[NDArray[np.float32]] | None, done: int) -> WindowScores:
        """Reports progress before returning the window, because the generator is not resumed after the last one."""
        self._hooks.stop_if_cancelled()
        scores = self._result(start, future)
        self._hooks.report(done, len(self._plan))
        return scores
