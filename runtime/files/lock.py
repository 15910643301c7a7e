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


_RETRY_SECONDS = 0.05


class Lock(Enum):
    """Result of a request for a lock: acquired, held by another process, or unsupported."""

    ACQUIRED = auto()
    HELD_BY_OTHER = auto()
    UNSUPPORTED = auto()
    """The file system has no such locks, or (Windows) Python has no `fcntl`."""


def acquire_lock(descriptor: int, *, wait: bool) -> Lock:
    """Requests the exclusive lock of an open file; it is held until the descriptor and its copies are closed.

    Args:
        descriptor: file descriptor from `os.open`.
        wait: whether to block until another holder releases the lock; it is then never `Lock.HELD_BY_OTHER`.
    """
    try:
        import fcntl
    except ImportError:
        return Lock.UNSUPPORTED
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return Lock.HELD_BY_OTHER
    except OSError:
        return Lock.UNSUPPORTED
    return Lock.ACQUIRED


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
        while acquire_lock(descriptor, wait=False) is Lock.HELD_BY_OTHER and time.monotonic() < end:
            time.sleep(_RETRY_SECONDS)
        yield
    finally:
        os.close(descriptor)
