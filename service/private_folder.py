"""The private folder of a running service; its lock tells it from those that killed services left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..runtime.errors import ResourceError
from ..runtime.files.lock import Lock, acquire_lock
from ..runtime.files.temporaries import remove_leftovers, temporary_name

_ENDING = ".serve"


@contextmanager
def private_folder(parent: Path) -> Generator[Path]:
    """Makes a folder that only this user can read; it is removed with its content after the block.

    First it removes the folders that killed services left in ``parent``, on any machine or in any container: a service
    holds the lock of its folder, and the system frees the lock however the service ends. On a file system without locks
    for folders, such as NFS, `remove_leftovers` alone tells which are left.

    Args:
        parent: where it is made; must exist.

    Raises:
        ResourceError: the folder cannot be made.
    """
    remove_leftovers(parent)
    for folder in parent.glob(f".bedside-*{_ENDING}"):
        _remove_if_unlocked(folder)
    made, folder = parent / temporary_name(".new"), parent / temporary_name(_ENDING)
    with ExitStack() as ending:
        try:
            made.mkdir(mode=0o700)
            ending.callback(shutil.rmtree, folder, ignore_errors=True)
            ending.callback(shutil.rmtree, made, ignore_errors=True)
            descriptor = os.open(made, os.O_RDONLY)
            ending.callback(os.close, descriptor)
            acquire_lock(descriptor, wait=False)
            made.rename(folder)  # it gets the name of a service's folder with its lock held
        except OSError as error:
            raise ResourceError(
                f"the folder for scans in progress cannot be made ({error.strerror}); choose another (--folder)"
            ) from None
        yield folder


def _remove_if_unlocked(folder: Path) -> None:
    """Removes a service's folder unless a service holds its lock; one that cannot be opened or removed stays."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # another user's, or removed since
        return
    try:
        if acquire_lock(descriptor, wait=False) is Lock.ACQUIRED:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
