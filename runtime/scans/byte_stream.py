"""Reads a file to its last byte, plain or gzip, and verifies the gzip checksum.

nibabel stops after the voxels, before the gzip checksum, so it loads damaged files. This reader refuses them.
"""

from __future__ import annotations

import os
import stat
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..errors import InputError
from ..shortage import raise_shortage
from .file_kind import GZIP_MAGIC, GZIP_WINDOW, FileKind, kind_of_bytes, kind_of_file

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_CHUNK = 1 << 20
_DEFLATE_MAX_RATIO = 1032  # a deflate stream cannot expand further
_SUSPICIOUS_RATIO = 100  # scans shrink by 2 to 10, label maps by some hundreds, bombs by a thousand
_FREE_MEMBERS = 1000  # gzip members of any size; beyond that number they must reach a mean size
_SMALLEST_MEMBER = (
    1024  # mean of decompressed bytes; block compressors write 64 KB, files made to stall a reader next to nothing
)


class Identity(NamedTuple):
    """Identifies a file's content by device, inode, size, and time of the last write in nanoseconds."""

    device: int
    inode: int
    size: int
    written_ns: int

    @staticmethod
    def of(status: os.stat_result) -> Identity:
        """Returns the identity in a file's status."""
        return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class ByteStream:
    """The decompressed bytes of one file; a context manager.

    Args:
        path: a regular file; gzip is recognised by its content, not its name.

    Attributes:
        name: the file's name.
        is_gzip: whether the file is compressed.
        identity: identity of the opened file.

    Raises:
        InputError: the file is missing, not a regular file, not readable, truncated, or damaged.
        ResourceError: file descriptors ran out, or the disk failed; so in all methods that read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
                got = kind_of_file(path) or "a folder or device; give a .nii or .nii.gz file"
                raise InputError(f'"{self.name}": expected a file, got {got}')
            self._file: BinaryIO = path.open("rb")
            self.identity = Identity.of(os.fstat(self._file.fileno()))
        except FileNotFoundError:
            raise InputError(f'"{self.name}": file not found; check the path') from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "invalid path"
            raise_shortage(error, f'"{self.name}"')
            raise InputError(f'"{self.name}": cannot be read ({reason}); check the path and permissions') from None
        self._size = self.identity.size
        self._pending = self._read_file(2)
        self.is_gzip = self._pending == GZIP_MAGIC
        self._inflater = zlib.decompressobj(GZIP_WINDOW)
        self._members = self._inflated = 0

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def check_room(self, expected: int) -> None:
        """Checks without decompressing that the file can hold ``expected`` bytes: deflate expands up to 1032 times.

        Raises:
            InputError: the file is too small for them, or, if not compressed, has another size.
        """
        if not self.is_gzip:
            self._refuse_length(expected, self._size)
        elif expected > self._size * _DEFLATE_MAX_RATIO:
            raise InputError(
                f'"{self.name}": the header specifies {expected:,} bytes, more than {self._size:,} compressed bytes '
                "can hold; the file is truncated or its header is wrong, export it again"
            )

    def check_length(self, expected: int) -> None:
        """Checks, before anything is allocated, that the file holds exactly ``expected`` decompressed bytes.

        For a gzip file the length field is compared first. If it disagrees (several members, or a wrong field), or if
        the file would have to expand more than 100 times, the file is decompressed once to count its bytes, without
        keeping them.

        Raises:
            InputError: the file holds more or fewer bytes.
        """
        if not self.is_gzip:
            self._refuse_length(expected, self._size)
            return
        if self._stated_length() != expected % 2**32 or expected > self._size * _SUSPICIOUS_RATIO:
            with ByteStream(self._path) as counter:
                self._refuse_length(expected, counter.skip(expected + 1))

    def readinto(self, buffer: memoryview) -> None:
        """Fills ``buffer`` (bytes) from the stream.

        Raises:
            InputError: the stream ends early or is damaged.
        """
        filled = 0
        while filled < len(buffer):
            piece = self._next(len(buffer) - filled)
            if not piece:
                raise InputError(
                    f'"{self.name}": expected {len(buffer) - filled:,} more bytes, got the end; copy it again'
                )
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)

    def read(self, count: int) -> bytes:
        """Returns the next ``count`` bytes, fewer where the stream ends."""
        pieces = bytearray()
        while len(pieces) < count:
            piece = self._next(count - len(pieces))
            if not piece:
                break
            pieces += piece
        return bytes(pieces)

    def kind(self, start: bytes) -> FileKind | None:
        """Returns the kind of a file that is not NIfTI, None if unknown; ``start``: its first decompressed bytes."""
        return kind_of_bytes(start) if self.is_gzip else kind_of_file(self._path)

    def skip(self, count: int) -> int:
        """Reads and discards up to ``count`` bytes; returns the number read."""
        skipped = 0
        while skipped < count:
            piece = self._next(count - skipped)
            if not piece:
                break
            skipped += len(piece)
        return skipped

    def finish(self) -> None:
        """Reads to the end, so that the gzip checksum is verified.

        Raises:
            InputError: the checksum is wrong, the file is truncated or too long, or was modified since it was opened.
        """
        if self._next(1):
            raise InputError(
                f'"{self.name}": expected the end of the file, got more bytes than its header says; export it again'
            )
        self.check_unchanged(Identity.of(os.fstat(self._file.fileno())))

    def check_unchanged(self, identity: Identity) -> None:
        """Checks that the opened file has this identity: a header and its voxels must come from the same scan.

        Raises:
            InputError: the file was changed or replaced.
        """
        if identity != self.identity:
            raise InputError(f'"{self.name}": the file was changed while it was read; try again once it is complete')

    def _refuse_length(self, expected: int, got: int) -> None:
        if got != expected:
            more = "more" if got > expected else "fewer"
            raise InputError(
                f'"{self.name}": the header specifies {expected:,} bytes, the file holds {more}; '
                "it is truncated or its header is wrong, copy or export it again"
            )

    def _stated_length(self) -> int:
        position = self._file.tell()
        self._file.seek(max(0, self._size - 4))
        length = int.from_bytes(self._read_file(4), "little")
        self._file.seek(position)
        return length

    def _next(self, limit: int) -> bytes:
        """Returns 1…limit bytes, or ``b""`` at the end of a complete stream.

        Raises:
            InputError: the stream is truncated or damaged.
        """
        if not self.is_gzip:
            piece = self._pending[:limit] or self._read_file(min(limit, _CHUNK))
            self._pending = self._pending[len(piece) :] if self._pending else b""
            return piece
        while True:
            if self._inflater.eof and not self._next_member():
                return b""
            ended = not self._pending
            if ended:
                self._pending = self._read_file(_CHUNK)
            try:
                piece = self._inflater.decompress(self._pending, min(limit, _CHUNK))
            except zlib.error as error:
                raise_shortage(error, f'"{self.name}"')
                reason = str(error).rpartition(":")[2].strip()
                raise InputError(
                    f'"{self.name}": damaged gzip data ({reason}); copy or export the file again'
                ) from None
            stuck = ended and not self._pending and not self._inflater.eof
            self._pending = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
            if piece:
                self._inflated += len(piece)
                return piece
            if stuck:
                raise InputError(f'"{self.name}": truncated gzip file; copy or export it again')

    def _next_member(self) -> bool:
        """Skips zero padding and starts the next gzip member; returns False at the end of the file."""
        rest = self._pending.lstrip(b"\0")
        while len(rest) < 2:
            more = self._read_file(_CHUNK)
            if not more:
                break
            rest = (rest + more).lstrip(b"\0")
        self._pending = rest
        if not rest:
            return False
        if not rest.startswith(GZIP_MAGIC):
            raise InputError(f'"{self.name}": unknown bytes after the gzip data; copy or export the file again')
        self._members += 1
        if self._members > max(_FREE_MEMBERS, self._inflated // _SMALLEST_MEMBER):
            raise InputError(f'"{self.name}": too many empty gzip members; export the file again')
        self._inflater = zlib.decompressobj(GZIP_WINDOW)
        return True

    def _read_file(self, count: int) -> bytes:
        try:
            return self._file.read(count)
        except OSError as error:
            raise_shortage(error, f'"{self.name}"')
            raise InputError(f'"{self.name}": reading failed ({error.strerror}); check the disk') from None
