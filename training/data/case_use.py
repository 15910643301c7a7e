"""Who uses which prepared cases: each training lists its own in a file that it keeps locked."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...runtime.files.lock import Lock, take_lock

_log = logging.getLogger("bedside.training")
_USE = ".use-"

TAG = "CACHEDIR.TAG"
"""A file that every folder of prepared cases has; its lock is the gate through which uses are told and cases go."""


@contextmanager
def registration_lock(folder: Path) -> Generator[Lock]:
    """Yields when no other process is telling its use of the folder or clearing it: a matter of milliseconds."""
    descriptor = _open(folder / TAG)
    try:
        yield take_lock(descriptor, wait=True)
    finally:
        os.close(descriptor)


@contextmanager
def in_use(folder: Path, keys: Collection[str]) -> Generator[None]:
    """Keeps cases from being cleared while the block runs; they need not be there yet.

    Args:
        folder: of prepared cases.
        keys: names of the cases' folders.
    """
    file = folder / f"{_USE}{secrets.token_hex(8)}"
    descriptor: int | None = None
    try:
        with registration_lock(folder):
            descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o666)
            os.write(descriptor, "\n".join(keys).encode("ascii"))
            take_lock(descriptor, wait=True)
    except OSError as error:  # somebody else's folder, perhaps: its cases can be read all the same
        _log.warning(
            "that this training uses the prepared cases cannot be told (%s): do not clear them", error.strerror
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
    """Returns the names of the cases that trainings use now; to be asked inside the `registration_lock`."""
    keys: set[str] = set()
    for file in folder.glob(f"{_USE}*"):
        with suppress(FileNotFoundError):  # its training has ended meanwhile
            keys |= _keys_of(file)
    return keys


def _keys_of(file: Path) -> set[str]:
    """Returns what a training uses; removes the file of one that was killed."""
    descriptor = _open(file)
    try:
        if take_lock(descriptor, wait=False) is Lock.TAKEN:
            return set(file.read_text(encoding="ascii").split())
        file.unlink(missing_ok=True)
        return set()
    finally:
        os.close(descriptor)


def touch(case: Path) -> None:
    """Notes, as the time of a case's folder, that it was used now."""
    with suppress(OSError):  # it is gone, or somebody else's: nothing depends on it but what is cleared first
        os.utime(case)


def _open(file: Path) -> int:
    """Opens a file to be locked; on some file systems that takes the right to write."""
    try:
        return os.open(file, os.O_RDWR)
    except PermissionError:
        return os.open(file, os.O_RDONLY)
