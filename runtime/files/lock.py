"""Locks between processes on open files, which the system frees when their process ends, however it ends."""

from __future__ import annotations

from enum import Enum, auto


class Lock(Enum):
    """What became of asking for a lock."""

    OURS = auto()
    TAKEN = auto()
    UNSUPPORTED = auto()
    """Neither this file system nor, on Windows, Python has such locks."""


def take_lock(descriptor: int, *, wait: bool) -> Lock:
    """Asks for the exclusive lock of an open file; it is held until the descriptor and its copies are closed.

    Args:
        descriptor: of the file, as `os.open` gives it.
        wait: until whoever holds it lets go; then the answer is never `Lock.TAKEN`.
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
