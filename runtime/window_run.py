"""One pass of the engine over the windows of a scan: progress, cancelling, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .blend import WindowScores
from .engines import Engine
from .errors import Cancelled
from .stopwatch import Stopwatch
from .windows import WindowPlan

Progress = Callable[[int, int], object]
Cancel = Callable[[], bool]


class WindowRun:
    """Computes the windows of a plan one by one, in the plan's order.

    Args:
        engine: what computes them.
        plan: where they lie.
        array: [D, H, W] float32 normalised, padded as the plan says.
        watch: gets the engine's time as stage ``infer``.
        progress: called with (windows done, windows in all).
        cancel: asked before every window.
    """

    def __init__(
        self,
        engine: Engine,
        plan: WindowPlan,
        array: NDArray[np.float32],
        watch: Stopwatch,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        self._engine, self._plan, self._array, self._watch = engine, plan, array, watch
        self._progress, self._cancel = progress, cancel
        self._not_finite = 0

    def windows(self) -> Iterator[WindowScores]:
        """Yields each window's logits, computed when asked for; one with NaN or infinity is left out of the blending.

        Raises:
            Cancelled: ``cancel()`` returned true.
            ResourceError: the engine failed.
        """
        total = len(self._plan.starts)
        self._report(0, total)
        for done, start in enumerate(self._plan.starts, 1):
            stop_if(self._cancel)
            patch = np.ascontiguousarray(self._array[self._plan.window(start)][None, None])
            with self._watch.stage("infer"):
                logits = self._engine.infer(patch)[0]
            # NaN and infinity never leave a sum finite, and a sum needs no mask; float64 cannot overflow here.
            if np.isfinite(logits.sum(dtype=np.float64)):
                yield WindowScores(start, logits)
            else:
                self._not_finite += 1
                yield WindowScores(start, None)
            self._report(done, total)

    def warnings(self) -> tuple[str, ...]:
        """Returns what a person should know about the windows computed so far."""
        if not self._not_finite:
            return ()
        return (
            f"the network returned NaN or infinity in {self._not_finite} of {len(self._plan.starts)} windows; "
            "these were left out",
        )

    def _report(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)


def stop_if(cancel: Cancel | None) -> None:
    """Asks the caller whether to go on.

    Raises:
        Cancelled: it said no.
    """
    if cancel is not None and cancel():
        raise Cancelled("cancelled by the caller; nothing was written")
