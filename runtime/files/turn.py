"""Taking turns with other processes at something only one should do at a time."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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
        while not _locked(descriptor) and time.monotonic() < end:
            time.sleep(_ASK_AGAIN)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Takes the lock, if nobody has it; where there are no locks, nobody has."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
