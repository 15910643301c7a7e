"""Allows one training at a time in a run directory, with a lock that the system frees when its process ends."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...runtime.errors import ResourceError
from ...runtime.files.atomic import make_folder
from ...runtime.files.lock import Lock, acquire_lock

LOCK = "run.lock"
_HOLDER_BYTES = 300  # maximum size read of the note about the lock's holder

_log = logging.getLogger("bedside.training")


@contextmanager
def sole_writer(folder: Path) -> Generator[None]:
    """Locks a run directory while the block trains in it; other processes can still read it.

    Only the first process of a training calls this. A directory that was created here and is still empty after the
    block is removed. On a file system without locks (some network folders) this logs a warning and training continues.

    Args:
        folder: run directory; created if needed.

    Raises:
        ResourceError: another process trains in the directory, or it cannot be written.
    """
    made = not folder.exists()
    descriptor = _lock(make_folder(folder) / LOCK, folder.name)
    try:
        yield
    finally:
        with suppress(OSError):  # a remaining lock file does no harm
            (folder / LOCK).unlink(missing_ok=True)  # before closing: the next process creates a new file
            if made:
                folder.rmdir()  # fails if the directory is not empty
        os.close(descriptor)


def _lock(file: Path, run: str) -> int:
    """Opens and locks the lock file, writes a note about its holder, and returns its descriptor."""
    while True:
        descriptor = _open(file)
        lock = acquire_lock(descriptor, wait=False)
        if lock is Lock.HELD_BY_OTHER:
            holder = os.read(descriptor, _HOLDER_BYTES).decode("utf-8", "replace").strip()
            os.close(descriptor)
            raise ResourceError(
                f'another process trains in "{run}"{f" ({holder})" if holder else ""}; '
                "wait for it or stop it, then add --resume; or choose another -o"
            )
        if lock is Lock.UNSUPPORTED:
            _log.warning(
                'the file system of "%s" has no locks: see to it that no other process trains in it at the same time',
                run,
            )
        elif not _is_still(file, descriptor):  # the previous holder has removed this file
            os.close(descriptor)
            continue
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode())
        return descriptor


def _open(file: Path) -> int:
    try:
        return os.open(file, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        raise ResourceError(
            f'"{file.parent.name}": cannot be written ({error.strerror}); check the folder, permissions and free space'
        ) from None


def _is_still(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
