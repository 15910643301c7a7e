"""Standard input, output and error as services leave them: closed, unread, on a full disk, not UTF-8, of any width.

Messages that cannot be printed must not make a command's work fail.
"""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .readable import READABLE, register

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

NARROWEST, WIDEST = 80, 1000  # the tables need 80 columns; a narrower terminal wraps them, which loses no figure
_NO_READER = (errno.EPIPE, errno.ECONNRESET)


def prepare_streams() -> None:
    """Opens closed streams on the null device, and makes writing to stdout and stderr safe.

    Call it before the process opens any file: a file that gets the descriptor of a closed stream also gets what C
    libraries print there.

    - stderr: a write error is ignored; progress and warnings after it are lost.
    - stdout: a reader that has ended is ignored; a full disk raises one `OSError` with the file name "stdout".
    - Both write characters that their encoding lacks as readable ASCII.
    """
    register()
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        _open_if_closed(descriptor)
        if getattr(sys, name) is None:  # Python found it closed
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for name in ("stdout", "stderr"):
        setattr(sys, name, _safe(getattr(sys, name), must_arrive=name == "stdout"))


def bound_columns() -> None:
    """Limits ``COLUMNS`` to 80…1000 and unsets it if it is no integer: at 0 rich prints nothing at all."""
    given = os.environ.get("COLUMNS")
    if given is None:
        return
    try:
        os.environ["COLUMNS"] = str(min(max(int(given), NARROWEST), WIDEST))
    except ValueError:
        del os.environ["COLUMNS"]


def _open_if_closed(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        _to_null_device(descriptor)


def _to_null_device(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null == descriptor:
        os.set_inheritable(null, True)  # child processes have the three streams too
        return
    os.dup2(null, descriptor)
    os.close(null)


def _safe(stream: Any, must_arrive: bool) -> Any:
    """Returns a stream whose write errors are handled; one that is not a plain file only gets the error handler."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # Python leaves the buffer out with PYTHONUNBUFFERED
    if type(raw) is not io.FileIO:
        with suppress(AttributeError):
            stream.reconfigure(errors=READABLE)
        return stream
    output = _SafeOutput(raw.fileno(), must_arrive)
    return io.TextIOWrapper(
        output if buffer is raw else io.BufferedWriter(output),  # pyright: ignore[reportArgumentType]
        encoding=stream.encoding,
        errors=READABLE,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _SafeOutput(io.FileIO):
    """An open descriptor; an error redirects it to the null device, so that later writes and the exit do not fail."""

    def __init__(self, descriptor: int, must_arrive: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._must_arrive = must_arrive
        self._device = stat.S_ISCHR(os.fstat(descriptor).st_mode)  # once the terminal is closed, fstat fails

    def write(self, data: ReadableBuffer, /) -> int:
        left = memoryview(data).cast("B")
        size = left.nbytes
        try:
            while left:
                written: int | None = super().write(left)
                if written is None:  # another process made it non-blocking
                    select.select([], [self], [])
                left = left[written or 0 :]
        except OSError as error:
            _to_null_device(self.fileno())
            if self._must_arrive and not self._has_no_reader(error):
                raise OSError(error.errno, error.strerror, "stdout") from error
        return size

    def _has_no_reader(self, error: OSError) -> bool:
        return error.errno in _NO_READER or (self._device and error.errno == errno.EIO)
