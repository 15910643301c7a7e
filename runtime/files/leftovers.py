"""Temporaries that a killed process left behind: told from those being written now, and removed by the next write.

A temporary's name says who writes it: ``.bedside-<place>-<process>-<random>``, the place being this boot of this
machine (or container) as eight hexadecimal digits. What belongs to a process of this place that no longer runs is a
leftover. Elsewhere (a shared folder, a container that is gone, the time before a power cut) nobody can tell, so only
what nothing has touched for a week is.
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

_NAME = re.compile(r"\.bedside-(?P<place>[0-9a-f]{8})-(?P<process>[0-9]{1,10})-[0-9a-f]{16}(?!.*\.old).*")
_FORGOTTEN = 7 * 86_400  # seconds


def temporary_name(ending: str) -> str:
    """Returns a name for a temporary of this process that nobody else uses; nothing of the final name is in it."""
    return f".bedside-{_place()}-{os.getpid()}-{secrets.token_hex(8)}{ending}"


def remove_leftovers(folder: Path) -> None:
    """Removes the leftovers in a folder; a folder set aside (``.old``) is somebody's data and stays.

    What cannot be looked at or removed stays too: it is in nobody's way, and the write that comes next says so itself
    if the disk is the reason.
    """
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if entry.name.startswith(".bedside-") and _is_leftover(entry)]
    except OSError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            _unlink(Path(entry.path))


def _is_leftover(entry: os.DirEntry[str]) -> bool:
    name = _NAME.fullmatch(entry.name)
    if name is None:
        return False
    if name["place"] == _place() and sys.platform != "win32":  # there, asking after a process would end it
        return not _runs(int(name["process"]))
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _FORGOTTEN
    except OSError:  # gone by now
        return False


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it runs, as somebody else
        return True
    return True


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # see `remove_leftovers`
        return


@cache
def _place() -> str:
    marks = [platform.node()]
    try:
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        marks.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    except OSError:
        marks = marks[:1]  # not Linux: the machine's name has to do
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:8]
