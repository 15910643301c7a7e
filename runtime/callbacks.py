"""Callbacks through which a caller follows a long call and cancels it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .errors import Cancelled

Cancel = Callable[[], bool]  # returns true to stop


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
