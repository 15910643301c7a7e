"""The last failures on this machine, for whoever gives support: what failed where, without messages and names.

A message may quote a file's name, and a name may be a patient's; so only the command, the kind of error, its exit code
and the place in bedside's own code are kept, in the machine's cache.
"""

from __future__ import annotations

import traceback
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from .. import __version__
from .files.machine_cache import MachineCache

_KEY = "recent failures"
_MOST = 20
_PACKAGE = Path(__file__).resolve().parents[1]


class RecentFailure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A failure, without its message.

    Attributes:
        when: date and time, ISO 8601.
        bedside: version of bedside.
        command: name of the command; empty where it was none.
        exit_code: exit code of the process.
        kind: class of the error.
        place: file of bedside, line and function in which it was raised; empty where it was raised elsewhere.
    """

    when: str
    bedside: str
    command: str
    exit_code: int
    kind: str
    place: str


class _Failures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    failures: tuple[RecentFailure, ...] = ()


def note_failure(command: str, error: BaseException, exit_code: int) -> None:
    """Keeps a failure for `recent_failures`, the last twenty; does nothing without a cache.

    Args:
        command: name of the command, no argument of it.
        error: what was raised.
        exit_code: exit code of the process.
    """
    cache = MachineCache.of_this_user()
    noted = RecentFailure(
        when=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        bedside=__version__,
        command=command,
        exit_code=exit_code,
        kind=type(error).__name__,
        place=_place(error),
    )
    cache.write(_KEY, _Failures((*recent_failures(), noted)[-_MOST:]))


def recent_failures() -> tuple[RecentFailure, ...]:
    """Returns the last failures on this machine, the newest last; none without a cache."""
    kept = MachineCache.of_this_user().read(_KEY, _Failures)
    return () if kept is None else kept.failures


def _place(error: BaseException) -> str:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(_PACKAGE) and ".venv" not in path.parts:
            return f"{path.relative_to(_PACKAGE).as_posix()}:{frame.lineno} {frame.name}"
    return ""
