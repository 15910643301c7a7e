"""Options and arguments that are paths; what cannot be read is refused with the exit code of its family.

The parser's own check would call an unreadable file a wrong call (exit code 2), and one that is missing none.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import typer

from ...runtime.errors import BedsideError, BundleError, InputError

_MISSING = (errno.ENOENT, errno.ENOTDIR)


def check_readable(path: Path | None, refused: type[BedsideError]) -> Path | None:
    """Refuses a file or folder that this user may not read, or whose path cannot be followed.

    One that is missing passes: the command that reads it says what it expected there.

    Args:
        path: as it was given; None where it was not.
        refused: error to raise.

    Returns:
        The path.
    """
    if path is None:
        return None
    try:
        needed = os.R_OK | os.X_OK if path.is_dir() else os.R_OK
        path.stat()  # is_dir takes some errors for a no
        if not os.access(path, needed):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        if error.errno not in _MISSING:
            raise refused(f'"{path.name}": cannot be read ({error.strerror}); check the path and permissions') from None
    return path


def _input(value: Path | None) -> Path | None:
    return check_readable(value, InputError)


def _bundle(value: Path | None) -> Path | None:
    return check_readable(value, BundleError)


# Each is typer's `Option` or `Argument` and takes what that takes.
input_option = partial(typer.Option, readable=False, callback=_input)
input_argument = partial(typer.Argument, readable=False, callback=_input)
bundle_argument = partial(typer.Argument, readable=False, callback=_bundle)
output_option = partial(typer.Option, readable=False)
output_argument = partial(typer.Argument, readable=False)
