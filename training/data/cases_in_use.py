"""Registers the prepared cases that trainings use: each training lists its own in a file that it keeps locked."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...runtime.errors import ResourceError
from ...runtime.files.lock import Lock, acquire_lock, release_lock

_log = logging.getLogger("bedside.training")
_USE = ".use-"

TAG = "CACHEDIR.TAG"
"""A file in every folder of prepared cases; its lock is the `registration_lock` for registering and clearing cases."""


@contextmanager
def registration_lock(folder: Path) -> Generator[Lock]:
    """Holds the lock that registering cases and clearing the folder need; hold it for milliseconds only."""
    descriptor = _open(folder / TAG)
    try:
        yield acquire_lock(descriptor, wait=True)
    finally:
        release_lock(descriptor)  # also from the copies of the descriptor in children that another thread forked
        os.close(descriptor)


@contextmanager
def in_use(folder: Path, keys: Collection[str]) -> Generator[None]:
    """Registers cases as in use while the block runs, so that they are not cleared; they need not exist yet.

    Args:
        folder: folder of prepared cases.
        keys: keys of the cases, the names of their folders.
    """
    file = folder / f"{_USE}{secrets.token_hex(8)}"
    descriptor: int | None = None
    try:
        with registration_lock(folder):
            descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o666)
            os.write(descriptor, "\n".join(keys).encode("ascii"))
            acquire_lock(descriptor, wait=True)
    except OSError as error:  # the folder may be another user's: its cases can still be read
        _log.warning(
            "prepared cases cannot be registered as in use (%s): clear none while this training runs",
            error.strerror,
        )
    try:
        yield
    finally:
        for key in keys:
            touch(folder / key)
        if descriptor is not None:
            os.close(descriptor)
            file.unlink(missing_ok=True)


def keys_in_use(folder: Path) -> set[str]:
    """Returns the keys of the cases that trainings use now; call it while holding the `registration_lock`.

    Without locks on the file system, the cases of a killed training count as in use too.

    Raises:
        ResourceError: a training's list cannot be read.
    """
    keys: set[str] = set()
    for file in folder.glob(f"{_USE}*"):
        try:
            keys |= _keys_of(file)
        except FileNotFoundError:  # the training has ended since
            continue
        except OSError as error:
            raise ResourceError(
                f'"{folder.name}": the list of cases that a training uses cannot be read ({error.strerror}); check the '
                "permissions"
            ) from None
    return keys


def _keys_of(file: Path) -> set[str]:
    """Returns the keys that a training lists in a file; tries to remove the file if that training was killed."""
    descriptor = _open(file)
    try:
        if acquire_lock(descriptor, wait=False) is not Lock.ACQUIRED:
            return set(file.read_text(encoding="ascii").split())
        with suppress(OSError):  # the folder is another user's: the file stays and counts for nothing
            file.unlink(missing_ok=True)
        return set()
    finally:
        os.close(descriptor)


def touch(case: Path) -> None:
    """Sets the modification time of a case's folder to now, its time of last use."""
    with suppress(OSError):  # removed, or another user's; only the order of clearing depends on it
        os.utime(case)


def _open(file: Path) -> int:
    """Opens a file for locking, writable, because some file systems require this for a lock."""
    try:
        return os.open(file, os.O_RDWR)
    except PermissionError:
        return os.open(file, os.O_RDONLY)
