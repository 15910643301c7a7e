"""The hooks of a call: callbacks through which the caller follows and cancels it, and the stopwatch that times it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import Cancelled
from .stopwatch import Stopwatch

Progress = Callable[[int, int], object]  # called with (windows done, windows in total)
Cancel = Callable[[], bool]  # returns true to stop

STAGES = ("read", "preprocess", "plan", "infer", "blend", "restore")


def stop_if(cancel: Cancel | None) -> None:
    """Raises `Cancelled` where the caller's ``cancel()`` returns true.

    Args:
        cancel: the caller's callback; None never cancels.

    Raises:
        Cancelled: ``cancel()`` returned true.
    """
    if cancel is not None and cancel():
        raise Cancelled("cancelled by the caller; nothing was written")


@dataclass(frozen=True)
class Hooks:
    """The callbacks and the stopwatch of one segmentation.

    Attributes:
        progress: called with (windows done or skipped, windows in total); None for no reports.
        cancel: called before every window and stage; returns true to stop. None never cancels.
        stopwatch: adds up the time of each of `STAGES`.
    """

    progress: Progress | None = None
    cancel: Cancel | None = None
    stopwatch: Stopwatch = field(default_factory=lambda: Stopwatch(STAGES))

    def report(self, done: int, total: int) -> None:
        """Calls ``progress(done, total)``."""
        if self.progress is not None:
            self.progress(done, total)

    def stop_if_cancelled(self) -> None:
        """Raises `Cancelled` where ``cancel()`` returns true."""
        stop_if(self.cancel)
