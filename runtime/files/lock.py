"""File locks between processes; the operating system releases them when their process ends, even if it is killed."""

from __future__ import annotations

from enum import Enum, auto


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
