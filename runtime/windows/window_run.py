"""One pass of the engine over the windows of a scan: ahead of the blending, with progress and cancelling."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..callbacks import Cancel, Progress, stop_if
from ..engines import Engine
from ..stopwatch import Stopwatch
from .axis_order import AxisOrder
from .blend import WindowScores
from .plan import Triple, WindowPlan
from .window_input import WindowInput

_Waiting: TypeAlias = "tuple[Triple, Future[NDArray[np.float32]] | None]"  # a window's start, and its logits to come


class WindowRun:
    """Computes the windows of a plan, in the plan's order.

    While results are blended, the engine works on the next windows: as many as it runs at the same time.

    Args:
        engine: what computes them.
        plan: where they lie, in the order's axes.
        order: in which the axes are worked through.
        source: where windows are cut from.
        watch: gets the time spent waiting for the engine as stage ``infer``, that for windows as ``preprocess``.
        skip_air: leave out windows without body.
        progress: called with (windows done or skipped, windows in all).
        cancel: asked before every window.
    """

    def __init__(
        self,
        engine: Engine,
        plan: WindowPlan,
        order: AxisOrder,
        source: WindowInput,
        watch: Stopwatch,
        *,
        skip_air: bool,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        self._engine, self._plan, self._order, self._source, self._watch = engine, plan, order, source, watch
        self._skip_air, self._progress, self._cancel = skip_air, progress, cancel
        self._not_finite = 0
        self.skipped = 0

    @property
    def computed(self) -> int:
        """Windows that the network sees in a whole pass."""
        return len(self._plan) - self.skipped

    def windows(self) -> Generator[WindowScores]:
        """Yields each window's logits; none for a window of air, and for one with NaN or infinity.

        Raises:
            Cancelled: ``cancel()`` returned true.
            ResourceError: the engine failed.
        """
        ahead = max(1, self._engine.parallel)
        waiting: deque[_Waiting] = deque()
        self._report(0, len(self._plan))
        with ThreadPoolExecutor(ahead, "bedside-infer") as pool:
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
        """Returns what a person should know about the windows computed so far."""
        if not self._not_finite:
            return ()
        return (
            f"the network returned NaN or infinity in {self._not_finite} of {self.computed} windows; "
            "these were left out",
        )

    def _patches(self) -> Iterator[tuple[Triple, NDArray[np.float32] | None]]:
        """Yields every window [1, 1, D, H, W] in the model's axes, None for one of air."""
        for layers in self._plan.layers:
            with self._watch.stage("preprocess"):
                self._source.prepare(layers)
            for start in self._plan.starts_of(layers):
                stop_if(self._cancel)
                yield start, self._patch(start)

    def _patch(self, start: Triple) -> NDArray[np.float32] | None:
        with self._watch.stage("preprocess"):
            if self._skip_air and not self._source.has_body(start):
                self.skipped += 1
                return None
            window = self._order.turned_back(self._source.window(start))
            return np.array(window[None, None], np.float32, order="C")

    def _result(self, start: Triple, future: Future[NDArray[np.float32]] | None) -> WindowScores:
        if future is None:
            return WindowScores(start, None)
        with self._watch.stage("infer"):
            logits = future.result()[0]
        # NaN and infinity never leave a sum finite, and a sum needs no mask; float64 cannot overflow here.
        if np.isfinite(logits.sum(dtype=np.float64)):
            return WindowScores(start, self._order.turned(logits))
        self._not_finite += 1
        return WindowScores(start, None)

    def _finished(self, start: Triple, future: Future[NDArray[np.float32]] | None, done: int) -> WindowScores:
        """Reports before the window is handed over: nobody asks for one more after the last."""
        stop_if(self._cancel)
        scores = self._result(start, future)
        self._report(done, len(self._plan))
        return scores

    def _report(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)
