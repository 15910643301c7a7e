"""Path options and arguments; an unreadable file ends the command with the exit code for inputs or bundles.

No output lies in a bundle, which would be refused with it. The parser's own check would report an unreadable file as a
usage error (exit code 2), and a missing one not at all.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import typer

from ...runtime.bundles.outputs import check_outside_bundles
from ...runtime.errors import BedsideError, BundleError, InputError, ResourceError
from ...runtime.shortage import raise_shortage

_MISSING = (errno.ENOENT, errno.ENOTDIR)


def check_readable(path: Path | None, refused: type[BedsideError]) -> Path | None:
    """Refuses a file or folder that this user may not read, or whose path cannot be followed.

    A missing file passes: the command that reads it reports what it expected there.

    Args:
        path: value of the option; None if it was not given.
        refused: type of the error to raise.

    Returns:
        The path, unchanged.
    """
    if path is None:
        return None
    try:
        needed = os.R_OK | os.X_OK if path.is_dir() else os.R_OK
        path.stat()  # raises errors for which is_dir only returns False
        if not os.access(path, needed):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise_shortage(error, f'"{path.name}"')
        if error.errno not in _MISSING:
            raise refused(f'"{path.name}": cannot be read ({error.strerror}); check the path and permissions') from None
    return path


def _checked(value: Path | list[Path] | None, refused: type[BedsideError]) -> Path | list[Path] | None:
    if isinstance(value, list):  # of an option or argument that may be given several times
        return [path for each in value if (path := _named(check_readable(each, refused)))]
    return _named(check_readable(value, refused))


def _named(path: Path | None) -> Path | None:
    """Returns a path with a name, which messages tell: that of the folder itself for ``.``."""
    return path if path is None or path.name else path.absolute()


# typer reads the annotations of a callback, which a partial has not.
def _input(value: Path | list[Path] | None) -> Path | list[Path] | None:
    return _checked(value, InputError)


def _bundle(value: Path | list[Path] | None) -> Path | list[Path] | None:
    return _checked(value, BundleError)


def _check_no_loop(path: Path) -> None:
    """Refuses a link that leads back to itself, where nothing can be written, before code that follows links."""
    try:
        path.stat()
    except OSError as error:  # whatever else it says, whoever writes there reports it
        if error.errno == errno.ELOOP:
            raise ResourceError(f'"{path.name}": cannot be written ({error.strerror}); choose another path') from None


def _output(value: Path | None) -> Path | None:
    if value is not None:
        _check_no_loop(value)
        check_outside_bundles(value)
    return _named(value)


def _new_bundle(value: Path | None) -> Path | None:
    if value is not None:
        _check_no_loop(value)
        check_outside_bundles(Path(os.path.realpath(value)).parent)  # it may replace a bundle
    return _named(value)


# Each is typer's `Option` or `Argument` and has the same arguments.
input_option = partial(typer.Option, readable=False, callback=_input)
input_argument = partial(typer.Argument, readable=False, callback=_input)
bundle_argument = partial(typer.Argument, readable=False, callback=_bundle)
bundle_option = partial(typer.Option, readable=False, callback=_bundle)
output_option = partial(typer.Option, readable=False, callback=_output)
output_argument = partial(typer.Argument, readable=False, callback=_output)
new_bundle_option = partial(typer.Option, readable=False, callback=_new_bundle)
