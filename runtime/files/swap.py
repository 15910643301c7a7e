"""Putting a new folder in an old one's place, and bringing back what a killed process had set aside meanwhile.

Linux exchanges two folders in one step, so that one of them is at the final path at every moment. Where the file
system or the system cannot, two renames have to do, and a process killed between them leaves the final path empty. The
old folder then lies beside it, under a temporary name that tells whose place it had.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

from .leftovers import name_aside, set_aside

_AT_CURRENT_FOLDER, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE: linux/fcntl.h, linux/fs.h
_SYSTEM_CALL = {"x86_64": 316, "aarch64": 276}  # renameat2, for a C library without a function of that name (musl)
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENOTSUP}  # EPERM: a container's filter


def put_in_place(new: Path, final: Path) -> Path | None:
    """Gives a new folder the final path.

    Returns:
        Where the folder lies that was there before; None where there was none.

    Raises:
        OSError: it cannot be done; the old folder is at the final path, or waits for `bring_back`.
    """
    if not final.exists():
        new.replace(final)
        return None
    if exchange(new, final):
        return new
    aside = final.with_name(name_aside(final.name))
    final.replace(aside)
    try:
        new.replace(final)
    except BaseException:
        aside.replace(final)
        raise
    return aside


def bring_back(final: Path) -> None:
    """Gives a missing folder back what a killed process had set aside, if there is such a thing.

    Raises:
        OSError: it cannot be moved.
    """
    if os.path.lexists(final):
        return
    found = set_aside(final)
    if found:
        max(found, key=lambda path: path.lstat().st_ctime_ns).replace(final)  # ctime: of its rename


def exchange(first: Path, second: Path) -> bool:
    """Lets two folders change places in one step; returns False where that is not to be had.

    Raises:
        OSError: it is, and failed.
    """
    rename = _renameat2()
    if rename is None:
        return False
    import ctypes

    if rename(_AT_CURRENT_FOLDER, os.fsencode(first), _AT_CURRENT_FOLDER, os.fsencode(second), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(second))


@cache
def _renameat2() -> Any:
    """Returns the C library's function, or one that calls the kernel's by its number; None where there is neither."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes
    except ImportError:  # a Python built without libffi
        return None
    library = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    if hasattr(library, "renameat2"):
        library.renameat2.argtypes = arguments
        return library.renameat2
    number = _SYSTEM_CALL.get(platform.machine())
    if number is None or sys.maxsize < 2**32:  # a 32-bit program counts the kernel's functions otherwise
        return None
    function = library.syscall
    function.argtypes, function.restype = [ctypes.c_long, *arguments], ctypes.c_long
    return lambda *values: function(number, *values)
