"""Runs a block while other processes wait, by means of a lock file."""

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
    """Runs the block once no other process or thread runs one with the same lock file, or after a time limit.

    The block always runs: at once if the file cannot be created or locked, and without the lock once ``patience`` has
    passed. So this is for work that should run alone but need not. The operating system releases the lock of a killed
    process.

    Args:
        file: the lock file; it is created if missing, and not removed.
        patience: longest wait in seconds.
    """
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError:  # the folder is not writable
        yield
        return
    try:
        end = time.monotonic() + patience
        while take_lock(descriptor, wait=False) is Lock.TAKEN and time.monotonic() < end:
            time.sleep(_ASK_AGAIN)
        yield
    finally:
        os.close(descriptor)
