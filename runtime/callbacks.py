"""Callbacks through which a caller follows a long call and cancels it."""

from __future__ import annotations

from collections.abc import Callable

from .errors import Cancelled

Progress = Callable[[int, int], object]  # called with (windows done, windows in total)
Cancel = Callable[[], bool]  # returns true to stop


def stop_if(cancel: Cancel | None) -> None:
    """Raises `Cancelled` where the caller's ``cancel()`` returns true.

    Args:
        cancel: the caller's callback; None never cancels.

    Raises:
        Cancelled: ``cancel()`` returned true.
    """
    if cancel is not None and cancel():
        raise Cancelled("cancelled by the caller; nothing was written")
