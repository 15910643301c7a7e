"""System calls that fail: every file a piece of code opens, writes, flushes, renames or closes goes through here.

Python's own files reach the system below `os`, so `io.open` is replaced by one whose files call `os.open`, `os.read`,
`os.write` and `os.close`: with that every call has a number, and the call of a chosen number fails.
"""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

from bedside.runtime.files import folder_replacement

from ..system_calls import replace_call

CALLS = ("open", "write", "fsync", "close", "replace", "rename", "mkdir")
_FLAGS = {
    "r": os.O_RDONLY,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "x": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
}


class Faults:
    """Counts the calls that concern a folder, and lets one of them fail.

    Args:
        folder: calls that concern neither this folder nor a file below it are neither counted nor failed.
        failing: number of the call to fail, from 0; None for none.
        code: the error it fails with.
    """

    def __init__(self, folder: Path, failing: int | None, code: int) -> None:
        self._folder, self._failing, self._code = str(folder), failing, code
        self._descriptors: set[int] = set()
        self._real = {"exchange": folder_replacement.exchange, **{name: getattr(os, name) for name in CALLS}}
        self.calls: list[str] = []

    def install(self, patch) -> None:
        """Puts the counted calls in the place of the real ones."""
        for name in CALLS:
            replace_call(patch, os, name, getattr(self, f"_{name}"))
        replace_call(patch, io, "open", self._io_open)
        replace_call(patch, folder_replacement, "exchange", self._exchange)  # a system call that `os` does not have

    def _fails(self, name: str) -> bool:
        self.calls.append(name)
        return len(self.calls) - 1 == self._failing

    def _error(self) -> OSError:
        return OSError(self._code, os.strerror(self._code))

    def _concerns(self, path) -> bool:
        return not isinstance(path, int) and os.fspath(path).startswith(self._folder)

    def _open(self, path, flags, mode=0o777, **options):
        if not self._concerns(path):
            return self._real["open"](path, flags, mode, **options)
        if self._fails("open"):
            raise self._error()
        descriptor = self._real["open"](path, flags, mode, **options)
        self._descriptors.add(descriptor)
        return descriptor

    def _write(self, descriptor, data):
        if descriptor in self._descriptors and self._fails("write"):
            self._real["write"](descriptor, bytes(data)[: len(data) // 2])  # a full disk takes a part
            raise self._error()
        return self._real["write"](descriptor, data)

    def _fsync(self, descriptor):
        if descriptor in self._descriptors and self._fails("fsync"):
            raise self._error()
        return self._real["fsync"](descriptor)

    def _close(self, descriptor):
        concerns = descriptor in self._descriptors
        self._descriptors.discard(descriptor)
        self._real["close"](descriptor)
        if concerns and self._fails("close"):
            raise self._error()

    def _moves(self, name, source, target, **options):
        if self._concerns(target) and self._fails(name):
            raise self._error()
        return self._real[name](source, target, **options)

    def _replace(self, source, target, **options):
        return self._moves("replace", source, target, **options)

    def _rename(self, source, target, **options):
        return self._moves("rename", source, target, **options)

    def _exchange(self, source, target):
        return self._moves("exchange", source, target)

    def _mkdir(self, path, *arguments, **options):
        if self._concerns(path) and self._fails("mkdir"):
            raise self._error()
        return self._real["mkdir"](path, *arguments, **options)

    def _io_open(self, file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, **_):
        if not self._concerns(file):
            return _REAL_IO_OPEN(file, mode, buffering, encoding, errors, newline)
        raw = _Raw(os.open(file, _FLAGS[mode.strip("bt+")], 0o666), writes="r" not in mode)
        binary = io.BufferedWriter(raw) if raw.writable() else io.BufferedReader(raw)
        return binary if "b" in mode else io.TextIOWrapper(binary, encoding or "utf-8", errors, newline)


_REAL_IO_OPEN = io.open


class _Raw(io.RawIOBase):
    """A file whose every call is one of `os`."""

    def __init__(self, descriptor: int, writes: bool) -> None:
        self._descriptor, self._writes = descriptor, writes

    def readable(self):
        return not self._writes

    def writable(self):
        return self._writes

    def seekable(self):
        return True

    def fileno(self):
        return self._descriptor

    def seek(self, offset, whence=os.SEEK_SET):
        return os.lseek(self._descriptor, offset, whence)

    def readinto(self, buffer):
        data = os.read(self._descriptor, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data):
        return os.write(self._descriptor, data)

    def close(self):
        if not self.closed:
            super().close()
            os.close(self._descriptor)


NO_SPACE, BROKEN, FORBIDDEN = errno.ENOSPC, errno.EIO, errno.EACCES
