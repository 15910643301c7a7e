"""Tells what the machine lacks while a file is read from what is wrong with the file: the file may be sound."""

from __future__ import annotations

import errno
import os
import zlib

from .errors import ResourceError

_DESCRIPTORS = "close some, or raise their limit (ulimit -n)"
_PLACE = "check the disk or the network share"
_ADVICE = {
    errno.EMFILE: _DESCRIPTORS,
    errno.ENFILE: _DESCRIPTORS,
    errno.EIO: _PLACE,
    errno.ESTALE: _PLACE,
    errno.ENOTCONN: _PLACE,  # a share in user space (FUSE) is gone
    errno.ETIMEDOUT: _PLACE,
}
_ZLIB_MEMORY = "Error -4 "  # Z_MEM_ERROR, in zlib's own words for all its errors


def raise_shortage(error: BaseException, what: str) -> None:
    """Raises a `ResourceError` where what was raised is the machine's fault, and not that of what was read.

    That is so where memory or file descriptors ran out, or a disk or network share failed: the same file may be read a
    moment later. Code that refuses a file for whatever reading it raised calls this first.

    Args:
        error: what was raised. Give no error of ``ssl``, whose numbers are not the system's.
        what: what was read or made, for the message.

    Raises:
        ResourceError: the machine is at fault, or ``error`` is one already, which is raised again as it is.

    >>> raise_shortage(FileNotFoundError(errno.ENOENT, "No such file"), '"ct.nii"')
    >>> raise_shortage(MemoryError(), '"ct.nii"')  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    ResourceError: "ct.nii": memory ran out; free some, then try again
    """
    if isinstance(error, ResourceError):
        raise error
    if _is_of_memory(error):
        raise ResourceError(f"{what}: memory ran out; free some, then try again") from None
    if isinstance(error, OSError) and error.errno in _ADVICE:
        reason = os.strerror(error.errno)
        raise ResourceError(f"{what}: {reason}; {_ADVICE[error.errno]}, then try again") from None


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, zlib.error):
        return str(error).startswith(_ZLIB_MEMORY)
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
