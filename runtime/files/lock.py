"""File locks between processes; the operating system releases them when their process ends, even if it is killed."""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


_log = logging.getLogger("bedside.lock")
_RETRY_SECONDS = 0.05
_SILENT_SECONDS = 1.0  # a longer wait is logged


class Lock(Enum):
    """Result of a request for a lock: acquired, held by another process, or unsupported."""

    ACQUIRED = auto()
    HELD_BY_OTHER = auto()
    UNSUPPORTED = auto()
    """The file system has no such locks, or (Windows) Python has no `fcntl`."""


def acquire_lock(descriptor: int, *, wait: bool) -> Lock:
    """Requests the exclusive lock of an open file; it is held until `release_lock`.

    The system releases it too once the descriptor and all its copies are closed. Forked children have copies, so a
    holder that only closes its own leaves the lock to them.

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


def release_lock(descriptor: int) -> None:
    """Releases the lock of an open file, whoever has copies of the descriptor; does nothing where it is not held."""
    try:
        import fcntl
    except ImportError:
        return
    with suppress(OSError):  # the file system has no such locks
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def advisory_lock(file: Path, timeout: float, others_work: str = "works") -> Generator[None]:
    """Runs the block once no other process or thread runs one with the same lock file, or after a time limit.

    The block always runs: at once if the file cannot be created or locked, and without the lock once ``timeout`` has
    passed. So this is for work that should run alone but need not. The operating system releases the lock of a killed
    process. A wait of more than a second is logged, and so is its end without the lock.

    Args:
        file: the lock file; it is created if missing, and not removed.
        timeout: longest wait in seconds.
        others_work: what a process with the lock does, for the log: a verb and its object.
    """
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError:  # the folder is not writable
        yield
        return
    try:
        _wait_for(descriptor, timeout, others_work)
        yield
    finally:
        release_lock(descriptor)
        os.close(descriptor)


def _wait_for(descriptor: int, timeout: float, others_work: str) -> None:
    """Tries to lock an open file until it succeeds, the file system has no locks, or the time has passed."""
    begun, is_logged = time.monotonic(), False
    while acquire_lock(descriptor, wait=False) is Lock.HELD_BY_OTHER:
        waited = time.monotonic() - begun
        if waited >= timeout:
            _log.info("another process still %s; going on without waiting for it", others_work)
            return
        if waited >= _SILENT_SECONDS and not is_logged:
            _log.info("another process %s; waiting for it, for %.0f s at most", others_work, timeout)
            is_logged = True
        time.sleep(_RETRY_SECONDS)
