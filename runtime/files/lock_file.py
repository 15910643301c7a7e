"""A file that one process at a time creates, locks and removes: for work in a folder that only one may do."""

from __future__ import annotations

import os
import platform
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import ResourceError
from .lock import Lock, acquire_lock

_HOLDER_BYTES = 300  # maximum size read of the note about the lock's holder


@dataclass(frozen=True)
class LockFile:
    """Result of a try to hold a lock file.

    Attributes:
        lock: whether this process holds it, or another one, or the file system has no locks.
        holder: process and machine of the other one that holds it; empty if there is none, or it left no note.
    """

    lock: Lock
    holder: str = ""


@contextmanager
def lock_file(file: Path) -> Generator[LockFile]:
    """Tries to hold a lock file while the block runs, and yields the result at once; the block always runs.

    The holder removes the file at the end. The system frees the lock of a process that is killed; the file that such a
    process leaves is taken over. Without locks on the file system, any number of processes may be in the block.

    Args:
        file: the lock file, in a folder that exists.

    Raises:
        ResourceError: the file cannot be written.
    """
    try:
        descriptor, lock = _locked(file)
    except OSError as error:
        raise ResourceError(
            f'"{file.parent.name}": cannot be written ({error.strerror}); check the folder, permissions and free space'
        ) from None
    with ExitStack() as ending:
        if lock is Lock.UNSUPPORTED:
            ending.callback(_remove, file)  # after closing: Windows removes no open file
        ending.callback(os.close, descriptor)
        if lock is Lock.HELD_BY_OTHER:
            yield LockFile(lock, os.read(descriptor, _HOLDER_BYTES).decode("utf-8", "replace").strip())
            return
        if lock is Lock.ACQUIRED:
            ending.callback(_remove, file)  # before closing: the next process creates a new file
        yield LockFile(lock)


def _locked(file: Path) -> tuple[int, Lock]:
    """Opens and tries to lock the file, and notes its holder in it; returns its descriptor and the result."""
    while True:
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            lock = acquire_lock(descriptor, wait=False)
            if lock is Lock.HELD_BY_OTHER:
                return descriptor, lock
            if lock is Lock.UNSUPPORTED or _is_still(file, descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode())
                return descriptor, lock
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the previous holder has removed this file: another process may hold a new one


def _is_still(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove(file: Path) -> None:
    with suppress(OSError):  # a file that stays does no harm: nobody holds its lock
        file.unlink(missing_ok=True)
