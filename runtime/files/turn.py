"""Taking turns with other processes at something only one should do at a time."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .lock import Lock, take_lock

if TYPE_CHECKING:
    from collections.abc import Generator

_ASK_AGAIN = 0.05  # seconds


@contextmanager
def in_turn(file: Path, patience: float) -> Generator[None]:
    """Runs the block when no other process or thread is in one of the same lock file; the system frees a dead one's.

    The block runs in any case: where the file cannot be made or locked at once, else when the patience is at an end. So
    this is for work that is only better done alone.

    Args:
        file: made if it is not there; it stays.
        patience: seconds to wait at most.
    """
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError:  # a folder that cannot be written to
        yield
        return
    try:
        end = time.monotonic() + patience
        while take_lock(descriptor, wait=False) is Lock.TAKEN and time.monotonic() < end:
            time.sleep(_ASK_AGAIN)
        yield
    finally:
        os.close(descriptor)
