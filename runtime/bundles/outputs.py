"""Checks that an output can be written, outside any bundle, before the work starts, not an hour later."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from ..files.atomic import atomic_write
from ..shortage import raise_shortage

_BEGINNING_BYTES = 16 * 2**10  # the marks of a page stand behind its style


class _Writable(Exception):  # noqa: N818 - it signals success
    """Leaves `atomic_write` once its temporary file exists, so that this does not replace the output."""


def check_writable(path: Path, *endings: str, marks: Sequence[str] = ()) -> None:
    """Checks that a file can be written; leaves nothing behind, and an existing file stays as it is.

    Args:
        path: the file.
        *endings: endings its name may have, such as ``".csv"``, so that a typing error replaces no scan; none given
            allows any.
        marks: texts near the beginning of every file that the command writes there: a file that lacks one is not an
            earlier result, and is not replaced unless it is empty. None given allows any.

    Raises:
        UsageError: the name has another ending, the file would lie in a bundle, or another file is there.
        ResourceError: the file cannot be written (see `atomic_write`).
    """
    check_outside_bundles(path)
    if endings and not path.name.endswith(endings):
        raise UsageError(f'output "{path.name}": expected a name ending in {" or ".join(endings)}')
    if marks and path.is_file() and not _has_marks(path, marks):
        raise UsageError(
            f'output "{path.name}": expected nothing there, or an earlier result of this command, got another file; '
            "choose another name"
        )
    try:
        with atomic_write(path):
            raise _Writable
    except _Writable:
        return


def _has_marks(path: Path, marks: Sequence[str]) -> bool:
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING_BYTES)
    except OSError as error:
        raise_shortage(error, f'"{path.name}"')
        return False
    return not beginning or all(mark.encode() in beginning for mark in marks)


def check_outside_bundles(path: Path) -> None:
    """Checks that an output does not lie in a bundle, which is refused with any file that it does not list.

    Args:
        path: file or folder to write.

    Raises:
        UsageError: it lies in a bundle.
    """
    from .manifest import CHECKSUM_NAME, MANIFEST_NAME

    whole = Path(os.path.realpath(path))  # unlike Path.resolve, of a loop of links too
    for folder in (whole, *whole.parents):
        # Unlike Path.is_file, os.path.isfile is False of a folder that may not be searched.
        if all(os.path.isfile(folder / name) for name in (MANIFEST_NAME, CHECKSUM_NAME)):  # noqa: PTH113
            raise UsageError(
                f'output "{path.name}": expected a place outside the bundle "{folder.name}", which would be refused '
                "with another file in it; choose another folder"
            )
