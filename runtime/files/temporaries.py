"""Names temporary files and folders, and removes those of killed processes but none that is being written.

A temporary's name identifies its writer: ``.bedside-<place>-<process>-<random>``, where the place is a hash of this
boot of this machine (or container), eight hexadecimal digits. A temporary of this place is a leftover when its process
no longer runs. For a temporary of another place (a shared folder, a removed container, before a power cut) the process
cannot be checked, so it is a leftover when nothing has modified it for a week.

The name of a folder moved aside to make room ends in ``.<mark>.old``, where the mark is a hash of its former name. It
counts as data, not as a leftover, until a file or folder of its former name exists again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import shutil
import sys
import time
from functools import cache
from pathlib import Path

_NAME = re.compile(r"\.bedside-(?P<place>[0-9a-f]{8})-(?P<process>[0-9]{1,10})-[0-9a-f]{16}(?P<ending>.*)")
_ASIDE = re.compile(r"\.(?P<mark>[0-9a-f]{16})\.old")
_FORGOTTEN_SECONDS = 7 * 86_400
_SWAP_SECONDS = 60.0  # a running process needs microseconds between moving a folder aside and renaming the new one


def temporary_name(ending: str) -> str:
    """Returns a unique name for a temporary of this process; it contains nothing of the final name."""
    return f".bedside-{_place()}-{os.getpid()}-{secrets.token_hex(8)}{ending}"


def moved_folder_name(name: str) -> str:
    """Returns a name for a folder moved aside; it contains a hash of the former name, not the name."""
    return temporary_name(f".{_mark(name)}.old")


def moved_folders(final: Path) -> list[Path]:
    """Returns the folders moved aside from ``final`` whose process does not run here, or over 60 seconds ago."""
    found: list[Path] = []
    for path in final.parent.glob(f".bedside-*.{_mark(final.name)}.old"):
        name = _NAME.fullmatch(path.name)
        if name is not None and (not _may_run(name) or _age(path.lstat().st_ctime) > _SWAP_SECONDS):
            found.append(path)
    return found


def remove_leftovers(folder: Path) -> None:
    """Removes the leftovers in a folder, except folders moved aside whose former name does not exist.

    Entries that cannot be inspected or removed stay without an error: they do no harm, and if the disk is the cause,
    the write that follows fails with its own message.
    """
    try:
        with os.scandir(folder) as entries:
            everything = list(entries)
    except OSError:
        return
    temporaries = [entry for entry in everything if entry.name.startswith(".bedside-")]
    if not temporaries:
        return
    moved_aside = any(entry.name.endswith(".old") for entry in temporaries)
    marks = {_mark(entry.name) for entry in everything} if moved_aside else set()
    for entry in temporaries:
        if not _is_leftover(entry, marks):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            _unlink(Path(entry.path))


def _is_leftover(entry: os.DirEntry[str], marks: set[str]) -> bool:
    name = _NAME.fullmatch(entry.name)
    if name is None or (entry.name.endswith(".old") and not _is_replaced(name["ending"], marks)):
        return False
    if _is_of_this_place(name):
        return not _may_run(name)
    try:
        return _age(entry.stat(follow_symlinks=False).st_mtime) > _FORGOTTEN_SECONDS
    except OSError:  # removed since the folder was listed
        return False


def _is_replaced(ending: str, marks: set[str]) -> bool:
    aside = _ASIDE.fullmatch(ending)
    return aside is not None and aside["mark"] in marks


def _is_of_this_place(name: re.Match[str]) -> bool:
    return name["place"] == _place() and sys.platform != "win32"  # on Windows, os.kill(process, 0) ends the process


def _may_run(name: re.Match[str]) -> bool:
    """Whether the process in a temporary's name runs on this machine."""
    return _is_of_this_place(name) and _runs(int(name["process"]))


def _age(then: float) -> float:
    return time.time() - then


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it runs as another user
        return True
    return True


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # see `remove_leftovers`
        return


def _mark(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


@cache
def _place() -> str:
    marks = [platform.node()]
    try:
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        marks.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    except OSError:
        marks = marks[:1]  # not Linux: only the machine's name is known
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:8]
