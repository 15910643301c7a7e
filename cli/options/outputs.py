"""Checks that an output can be written before the work starts, not an hour later."""

from __future__ import annotations

from pathlib import Path

from ...runtime.errors import UsageError
from ...runtime.files.atomic import atomic_write


class _Writable(Exception):  # noqa: N818 - it signals success
    """Leaves `atomic_write` once its temporary file exists, so that this does not replace the output."""


def check_new(path: Path, ending: str, *, force: bool) -> None:
    """Checks that a file can be written, and that none is there unless it may be replaced.

    Args:
        path: the file.
        ending: ending that its name must have.
        force: whether a file that is there may be replaced.

    Raises:
        UsageError: the name has another ending, or a file is there.
        ResourceError: the file cannot be written.
    """
    check_writable(path, ending)
    if path.exists() and not force:
        raise UsageError(f'"{path.name}" exists; give --force to replace it, or choose another path')


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
    from ...runtime.bundles.manifest import MANIFEST_NAME

    whole = path.resolve()
    for folder in (whole, *whole.parents):
        if (folder / MANIFEST_NAME).is_file():
            raise UsageError(
                f'output "{path.name}": expected a place outside the bundle "{folder.name}", which would be refused '
                "with another file in it; choose another folder"
            )
