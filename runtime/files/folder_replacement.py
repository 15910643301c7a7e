"""Replaces a folder by a new one, and restores the old one if a process was killed in between.

Linux exchanges two folders in one step, so that one of them is at the final path at every moment. Other systems and
some file systems cannot; there the replacement takes two renames, and a process killed between them leaves the final
path empty. The old folder is then beside it, under a temporary name that contains a hash of its former name.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

from .temporaries import moved_folder_name, moved_folders

_AT_CURRENT_FOLDER, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE: linux/fcntl.h, linux/fs.h
_SYSTEM_CALL = {"x86_64": 316, "aarch64": 276}  # renameat2, for a C library without a function of that name (musl)
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENOTSUP}  # EPERM: a container's filter


def replace_folder(new: Path, final: Path) -> Path | None:
    """Moves a new folder to the final path.

    Returns:
        The present path of the folder that was at the final path before; None if there was none.

    Raises:
        OSError: the move failed; the old folder is at the final path, or aside, where `restore_moved_folder` finds it.
    """
    if not final.exists():
        new.replace(final)
        return None
    if exchange(new, final):
        return new
    aside = final.with_name(moved_folder_name(final.name))
    final.replace(aside)
    try:
        new.replace(final)
    except BaseException:
        aside.replace(final)
        raise
    return aside


def restore_moved_folder(final: Path) -> None:
    """Moves a folder that a killed process had moved aside back to ``final``, if nothing exists there now.

    Raises:
        OSError: the folder cannot be moved.
    """
    if os.path.lexists(final):
        return
    found = moved_folders(final)
    if found:
        max(found, key=lambda path: path.lstat().st_ctime_ns).replace(final)  # ctime: when it was renamed


def exchange(first: Path, second: Path) -> bool:
    """Exchanges two folders in one step; returns False if the system or the file system does not support it.

    Raises:
        OSError: it is supported, and failed.
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
    """Returns the C library's ``renameat2``, or a function that makes the system call by number; None without both."""
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
    if number is None or sys.maxsize < 2**32:  # system calls have other numbers in a 32-bit program
        return None
    function = library.syscall
    function.argtypes, function.restype = [ctypes.c_long, *arguments], ctypes.c_long
    return lambda *values: function(number, *values)
