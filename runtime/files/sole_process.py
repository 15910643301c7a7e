"""Allows one process at a time in a folder, with a lock that the system frees when its process ends."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import ResourceError
from .atomic import make_folder
from .lock import Lock
from .lock_file import lock_file

_log = logging.getLogger("bedside.files")


@contextmanager
def sole_process(folder: Path, lock: str, work: str, advice: str) -> Generator[None]:
    """Locks a folder while the block works in it; other processes can still read it.

    A folder that was created here and is still empty after the block is removed. On a file system without locks (some
    network folders) this logs a warning, and the block runs.

    Args:
        folder: the folder; created if needed.
        lock: name of the lock file in it.
        work: what the block does, as the verb of messages: ``"trains"``.
        advice: what the user can do where another process works there.

    Raises:
        ResourceError: another process works in the folder, or it cannot be written.
    """
    made = not folder.exists()
    try:
        with lock_file(make_folder(folder) / lock) as locked:
            if locked.lock is Lock.HELD_BY_OTHER:
                holder = f" ({locked.holder})" if locked.holder else ""
                raise ResourceError(f'another process {work} in "{folder.name}"{holder}; {advice}')
            if locked.lock is Lock.UNSUPPORTED:
                _log.warning(
                    'the file system of "%s" has no locks: see to it that no other process %s in it at the same time',
                    folder.name,
                    work,
                )
            yield
    finally:
        if made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
