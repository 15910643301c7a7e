"""Reads zips of unknown origin without trusting what they declare."""

from __future__ import annotations

import io
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Ways of packing that a zip may use: others unpack at another pace than their sizes say."""

DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError,
    NotImplementedError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip
"""What `zipfile` raises of a damaged zip."""

_BLOCK = 2**20


@contextmanager
def open_zip(path: Path, table_bytes: int, too_large: Callable[[int], Exception]) -> Generator[zipfile.ZipFile]:
    """Opens a zip unless its table of contents is too large.

    `zipfile` reads the whole table at once and creates an object for every entry: a million of them take seven seconds
    and half a gigabyte before their number can be checked.

    Args:
        path: the zip.
        table_bytes: bytes that the table may have.
        too_large: called with the bytes of a larger one; returns what to raise.

    Raises:
        OSError: the file cannot be read.
        Exception: what ``too_large`` returned; one of `DAMAGED`: the file is no zip, or a damaged one.
    """
    with _SmallReads(path, table_bytes, too_large) as file, zipfile.ZipFile(file) as archive:
        yield archive


def unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Unpacks a file of a zip to a path where there is none yet.

    `zipfile` gives no more bytes than the zip declares, and then compares their checksum with the declared one.

    Raises:
        OSError: it cannot be written.
        Exception: one of `DAMAGED`: the zip is damaged, or the file has more bytes than declared.
    """
    with archive.open(member) as packed, target.open("xb") as unpacked:
        shutil.copyfileobj(packed, unpacked, _BLOCK)


class _SmallReads(io.FileIO):
    """A file that refuses to read more than so many bytes at a time; these and the refusal are as for `open_zip`."""

    def __init__(self, path: Path, most: int, refusal: Callable[[int], Exception]) -> None:
        super().__init__(path)
        self._most, self._refusal = most, refusal

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self._most:
            raise self._refusal(size)
        return super().read(size)
