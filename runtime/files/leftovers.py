"""Temporaries that a killed process left behind: told from those being written now, and removed by the next write.

A temporary's name says who writes it: ``.bedside-<place>-<process>-<random>``, the place being this boot of this
machine (or container) as eight hexadecimal digits. What belongs to a process of this place that no longer runs is a
leftover. Elsewhere (a shared folder, a container that is gone, the time before a power cut) nobody can tell, so only
what nothing has touched for a week is.

A folder set aside to make room ends in ``.<mark>.old``, the mark standing for the name it had. It is data until there
is something of that name again.
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
_FORGOTTEN = 7 * 86_400  # seconds
_SWAP_SECONDS = 60.0  # a running process needs microseconds to put another folder in the place of one set aside


def temporary_name(ending: str) -> str:
    """Returns a name for a temporary of this process that nobody else uses; nothing of the final name is in it."""
    return f".bedside-{_place()}-{os.getpid()}-{secrets.token_hex(8)}{ending}"


def name_aside(name: str) -> str:
    """Returns a name for a folder set aside, from which the one it had can be recognised but not read."""
    return temporary_name(f".{_mark(name)}.old")


def set_aside(final: Path) -> list[Path]:
    """Returns what was set aside from a path by processes that will not put anything there any more."""
    found: list[Path] = []
    for path in final.parent.glob(f".bedside-*.{_mark(final.name)}.old"):
        name = _NAME.fullmatch(path.name)
        if name is not None and (not _may_run(name) or _age(path.lstat().st_ctime) > _SWAP_SECONDS):
            found.append(path)
    return found


def remove_leftovers(folder: Path) -> None:
    """Removes the leftovers in a folder; what was set aside stays while nothing else has its name.

    What cannot be looked at or removed stays too: it is in nobody's way, and the write that comes next says so itself
    if the disk is the reason.
    """
    try:
        with os.scandir(folder) as entries:
            everything = list(entries)
    except OSError:
        return
    ours = [entry for entry in everything if entry.name.startswith(".bedside-")]
    if not ours:
        return
    marks = {_mark(entry.name) for entry in everything} if any(entry.name.endswith(".old") for entry in ours) else set()
    for entry in ours:
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
    if _is_of_here(name):
        return not _may_run(name)
    try:
        return _age(entry.stat(follow_symlinks=False).st_mtime) > _FORGOTTEN
    except OSError:  # gone by now
        return False


def _is_replaced(ending: str, marks: set[str]) -> bool:
    aside = _ASIDE.fullmatch(ending)
    return aside is not None and aside["mark"] in marks


def _is_of_here(name: re.Match[str]) -> bool:
    return name["place"] == _place() and sys.platform != "win32"  # there, asking after a process would end it


def _may_run(name: re.Match[str]) -> bool:
    """Whether the process that a temporary is named after runs here."""
    return _is_of_here(name) and _runs(int(name["process"]))


def _age(then: float) -> float:
    return time.time() - then


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


def _mark(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


@cache
def _place() -> str:
    marks = [platform.node()]
    try:
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        marks.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    except OSError:
        marks = marks[:1]  # not Linux: the machine's name has to do
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:8]
