"""File locks between processes; the operating system releases them when their process ends, even if it is killed."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


_ASK_AGAIN = 0.05  # seconds


class Lock(Enum):
    """Result of a request for a lock: acquired, held by another process, or unsupported."""

    OURS = auto()
    TAKEN = auto()
    UNSUPPORTED = auto()
    """The file system has no such locks, or (Windows) Python has no `fcntl`."""


def take_lock(descriptor: int, *, wait: bool) -> Lock:
    """Requests the exclusive lock of an open file; it is held until the descriptor and its copies are closed.

    Args:
        descriptor: file descriptor from `os.open`.
        wait: whether to block until another holder releases the lock; if true, the result is never `Lock.TAKEN`.
    """
    try:
        import fcntl
    except ImportError:
        return Lock.UNSUPPORTED
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return Lock.TAKEN
    except OSError:
        return Lock.UNSUPPORTED
    return Lock.OURS


@contextmanager
def advisory_lock(file: Path, timeout: float) -> Generator[None]:
    """Runs the block once no other process or thread runs one with the same lock file, or after a time limit.

    The block always runs: at once if the file cannot be created or locked, and without the lock once ``timeout`` has
    passed. So this is for work that should run alone but need not. The operating system releases the lock of a killed
    process.

    Args:
        file: the lock file; it is created if missing, and not removed.
        timeout: longest wait in seconds.
    """
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError:  # the folder is not writable
        yield
        return
    try:
        end = time.monotonic() + timeout
        while take_lock(descriptor, wait=False) is Lock.TAKEN and time.monotonic() < end:
            time.sleep(_ASK_AGAIN)
        yield
    finally:
        os.close(descriptor)
