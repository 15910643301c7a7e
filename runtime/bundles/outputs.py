"""Checks that an output can be written, outside any bundle, before the work starts, not an hour later."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UsageError
from ..files.atomic import atomic_write


class _Writable(Exception):  # noqa: N818 - it signals success
    """Leaves `atomic_write` once its temporary file exists, so that this does not replace the output."""


def check_writable(path: Path, *endings: str) -> None:
    """Checks that a file can be written; leaves nothing behind, and an existing file stays as it is.

    Args:
        path: the file.
        *endings: endings its name may have, such as ``".csv"``, so that a typing error replaces no scan; none given
            allows any.

    Raises:
        UsageError: the name has another ending, or the file would lie in a bundle.
        ResourceError: the file cannot be written (see `atomic_write`).
    """
    check_outside_bundles(path)
    if endings and not path.name.endswith(endings):
        raise UsageError(f'output "{path.name}": expected a name ending in {" or ".join(endings)}')
    try:
        with atomic_write(path):
            raise _Writable
    except _Writable:
        return


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
