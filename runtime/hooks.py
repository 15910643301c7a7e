"""The hooks of a call: callbacks through which the caller follows and cancels it, and the stopwatch that times it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from .errors import Cancelled
from .stopwatch import Stopwatch

Cancel = Callable[[], bool]  # returns true to stop

STAGES = ("read", "preprocess", "plan", "locate", "infer", "blend", "restore")


class Progress(Protocol):
    """Callback that receives the progress of a long call.

    It is called as ``progress(done, total)`` or ``progress(done, total, note)``; the documentation of each call says
    which of the two, and what is counted.
    """

    # With these types, functions of two and of three arguments both are a Progress.
    def __call__(self, done: int, total: int, /, *note: Any, **_: Any) -> object:
        """Called as the work goes on, and at its end.

        Args:
            done: units of work done, such as windows, cases or steps.
            total: units of work in total.
            note: at most one short text on the current unit, such as the loss.
        """
        ...


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

    def part(self, before: int, total: int, stopwatch: Stopwatch | None = None) -> Hooks:
        """Returns the hooks of a part of the work, whose progress counts as one with the other parts.

        Args:
            before: units of work of the parts before.
            total: units of work of all parts together.
            stopwatch: the part's own stopwatch, where its stages do not count as the caller's; None for the same.
        """
        return replace(
            self,
            progress=lambda done, _: self.report(before + done, total),
            stopwatch=self.stopwatch if stopwatch is None else stopwatch,
        )

    def report(self, done: int, total: int) -> None:
        """Calls ``progress(done, total)``."""
        if self.progress is not None:
            self.progress(done, total)

    def stop_if_cancelled(self) -> None:
        """Raises `Cancelled` where ``cancel()`` returns true."""
        stop_if(self.cancel)
