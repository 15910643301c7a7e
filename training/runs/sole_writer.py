"""Allows one training at a time in a run directory, with a lock that the system frees when its process ends."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...runtime.errors import ResourceError
from ...runtime.files.atomic import make_folder
from ...runtime.files.lock import Lock
from ...runtime.files.lock_file import lock_file

LOCK = "run.lock"

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
    try:
        with lock_file(make_folder(folder) / LOCK) as locked:
            if locked.lock is Lock.HELD_BY_OTHER:
                raise ResourceError(
                    f'another process trains in "{folder.name}"{f" ({locked.holder})" if locked.holder else ""}; '
                    "wait for it or stop it, then add --resume; or choose another -o"
                )
            if locked.lock is Lock.UNSUPPORTED:
                _log.warning(
                    'the file system of "%s" has no locks: see to it that no other process trains in it at the same '
                    "time",
                    folder.name,
                )
            yield
    finally:
        if made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
