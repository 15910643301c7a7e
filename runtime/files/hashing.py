"""SHA-256 of files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

_BLOCK = 2**20
_Read = TypeVar("_Read")


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return stream_sha256(file)


def stream_sha256(file: BinaryIO) -> str:
    """Returns the SHA-256 of what an opened file still holds; raises `OSError` where it cannot be read."""
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def read_hashed(path: Path, read: Callable[[], _Read]) -> tuple[_Read, str]:
    """Returns what a function reads from a file, and the SHA-256 of the very bytes that it read.

    If another process replaces the file meanwhile, as a training does its best weights, the new one is read.

    Raises:
        OSError: the file cannot be read.
        Exception: what ``read`` raises.
    """
    while True:
        before = _identity(path)
        found, sha256 = read(), file_sha256(path)
        if _identity(path) == before:
            return found, sha256


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Returns what changes if a file is replaced; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
