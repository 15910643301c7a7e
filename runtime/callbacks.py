"""What a caller may hand in to follow a long call and to end it."""

from __future__ import annotations

from collections.abc import Callable

from .errors import Cancelled

Progress = Callable[[int, int], object]  # told (windows done, windows in all)
Cancel = Callable[[], bool]  # asked whether to stop


def stop_if(cancel: Cancel | None) -> None:
    """Asks the caller whether to go on.

    Raises:
        Cancelled: it said no.
    """
    if cancel is not None and cancel():
        raise Cancelled("cancelled by the caller; nothing was written")
