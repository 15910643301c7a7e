"""Looking at an output before the work: what could not be written is refused now, not in an hour."""

from __future__ import annotations

from pathlib import Path

from ...runtime.errors import UsageError
from ...runtime.files.atomic import atomic_write


class _Writable(Exception):  # noqa: N818 - it is what was hoped for
    """The temporary file could be made; it is not to take the place of the output."""


def check_writable(path: Path, *endings: str) -> None:
    """Refuses a file that cannot be written; nothing is left, and a file that is there stays as it is.

    Args:
        path: the file.
        endings: that its name may have, such as ``".csv"``; a slip of the hand then replaces no scan. None: any.

    Raises:
        UsageError: another ending.
        ResourceError: as `atomic_write` would.
    """
    if endings and not path.name.endswith(endings):
        raise UsageError(f'output "{path.name}": expected a name ending in {" or ".join(endings)}')
    try:
        with atomic_write(path):
            raise _Writable
    except _Writable:
        return
