"""One training at a time in a run directory: a lock that the system frees when its holder ends, however it ends."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...runtime.errors import ResourceError
from ...runtime.files.atomic import make_folder
from ...runtime.files.lock import Lock, take_lock

LOCK = "run.lock"
_HOLDER_BYTES = 300  # of the note that says who holds the lock

_log = logging.getLogger("bedside.training")


@contextmanager
def sole_writer(folder: Path) -> Generator[None]:
    """Holds a run directory while the block trains in it; readers are not hindered.

    Only the first process of a training asks for it. A directory that the block leaves empty goes with the lock, if it
    was made for it. Where the file system has no locks (some network folders) a warning says so, and training goes on.

    Args:
        folder: the run directory; made if needed.

    Raises:
        ResourceError: another process trains in it, or it cannot be written.
    """
    made = not folder.exists()
    descriptor = _lock(make_folder(folder) / LOCK, folder.name)
    try:
        yield
    finally:
        with suppress(OSError):  # a lock file that stays is in nobody's way
            (folder / LOCK).unlink(missing_ok=True)  # before it is closed: the next one locks a file of its own
            if made:
                folder.rmdir()  # fails where the block has left something
        os.close(descriptor)


def _lock(file: Path, run: str) -> int:
    """Returns the descriptor of the lock file, locked."""
    while True:
        descriptor = _open(file)
        lock = take_lock(descriptor, wait=False)
        if lock is Lock.TAKEN:
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
        elif not _is_still(file, descriptor):  # its holder removed it just before we had the lock
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
