"""Writes files and folders atomically: readers see the old one or the complete new one, never a part."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BedsideError, ResourceError
from .folder_replacement import replace_folder, restore_moved_folder
from .temporaries import remove_leftovers, temporary_name

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def atomic_write(path: str | Path) -> Generator[Path]:
    """Yields a temporary path beside ``path`` (same suffixes) to write to; renames it if the block raises nothing.

    The file is flushed to the disk before the rename and the folder after it. Any exception removes the temporary and
    leaves an existing file as it was. Each write first removes the temporaries that killed processes left in the
    folder. The new file gets the old file's permissions: who could not read the old one cannot read the new one.

    Raises:
        ResourceError: the folder is missing or not writable, the disk is full, or ``path`` is not a regular file.
    """
    final = _real(path)
    # Writers choose the format by the suffix; the rest of the name may contain a patient's name.
    temporary = final.with_name(temporary_name(".nii.gz" if final.name.endswith(".nii.gz") else final.suffix))
    remove_leftovers(final.parent)
    try:
        if final.exists() and not final.is_file():
            raise ResourceError(
                f'"{final.name}": expected a file to write, got a folder or device; choose another path'
            )
        temporary.touch(exist_ok=False)
        _keep_permissions(final, temporary)
        yield temporary
        _sync(temporary)
        temporary.replace(final)
        _sync(final.parent)
    except OSError as error:
        raise _resource_error(final, error) from error
    finally:
        with suppress(OSError):  # an error here would hide the error of the write
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: str | Path, *, marker: str | None = None) -> Generator[Path]:
    """Yields a temporary folder beside ``path`` to fill; renames it to ``path`` if the block raises nothing.

    An existing folder is exchanged with the new one and then removed; it is restored if the exchange fails. A process
    killed meanwhile leaves either the old folder or the new one. If it had moved the old folder aside, the next write
    moves that back (see `folder_replacement`). The new folder gets the old folder's permissions.

    Args:
        path: the folder to write.
        marker: name of a file that every folder written here contains. An existing folder with content but without
            this file is refused, so that a mistyped path never deletes other data. None replaces any folder.

    Raises:
        ResourceError: the folder is not writable, the disk is full, ``path`` is a file, or an existing folder lacks
            ``marker``.
    """
    final = _real(path)
    temporary = final.with_name(temporary_name(".new"))
    replaced: Path | None = None
    remove_leftovers(final.parent)
    try:
        restore_moved_folder(final)
        if final.exists() and not final.is_dir():
            raise ResourceError(f'"{final.name}": expected a folder to write, got a file; choose another path')
        if marker and final.is_dir() and any(final.iterdir()) and not (final / marker).is_file():
            raise ResourceError(f'"{final.name}": this folder holds other files (no {marker}); choose another path')
        temporary.mkdir()
        _keep_permissions(final, temporary)
        yield temporary
        for folder, _, files in os.walk(temporary):
            for file in files:
                _sync(Path(folder) / file)
            _sync(Path(folder))
        replaced = replace_folder(temporary, final)
        _sync(final.parent)
    except OSError as error:
        raise _resource_error(final, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if replaced is not None:
            shutil.rmtree(replaced, ignore_errors=True)


def make_folder(path: str | Path) -> Path:
    """Creates a folder and its parents if they do not exist.

    Raises:
        ResourceError: the folder cannot be created, or ``path`` is a file.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _resource_error(folder, error) from error
    return folder


def _real(path: str | Path) -> Path:
    """Resolves links, so that a write replaces a link's target and not the link."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError):
        raise ResourceError(f'"{Path(path).name}": expected a path that can be written, got a broken one') from None


def _keep_permissions(old: Path, new: Path) -> None:
    if old.exists():
        needed = 0o700 if old.is_dir() else 0o200  # this process must be able to write it
        new.chmod(old.stat().st_mode & 0o777 | needed)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL or not path.is_dir():  # some file systems flush folders by themselves
            raise
    finally:
        os.close(descriptor)


def _resource_error(path: Path, error: OSError) -> BedsideError:
    missing = [folder for folder in path.parents if not os.path.isdir(folder)]  # noqa: PTH112 - False without permission
    if isinstance(error, (FileNotFoundError, NotADirectoryError)) and missing:
        return ResourceError(f'"{path.name}": cannot be written: there is no folder "{missing[-1].name}"; make it')
    # NumPy's error has no number where a disk took a part alone.
    unnumbered = "only in part: the disk may be full" if type(error) is OSError else type(error).__name__
    reason = error.strerror or unnumbered
    return ResourceError(f'"{path.name}": cannot be written ({reason}); check the folder, permissions and free space')
