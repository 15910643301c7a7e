"""Writing files and folders so that the old one or the whole new one is there, never a part."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BedsideError, ResourceError
from .leftovers import remove_leftovers, temporary_name
from .swap import bring_back, put_in_place

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def atomic_write(path: str | Path) -> Generator[Path]:
    """Yields a temporary path beside ``path`` (same suffixes) to write to; renames it when the block ends well.

    The file is flushed to the disk before the rename and the folder after it. Any exception removes the temporary and
    leaves an existing file as it was; what a killed process left in the folder goes with the next write. Permissions
    stay: who might not read the old file may not read the new one.

    Raises:
        ResourceError: the folder is missing or not writable, the disk is full, or ``path`` is not a regular file.
    """
    final = _real(path)
    # The ending tells writers the format; the rest of the name may be a person's.
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
        with suppress(OSError):  # what kept it from being written is told; this would hide it
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: str | Path, *, marker: str | None = None) -> Generator[Path]:
    """Yields a temporary folder beside ``path`` to fill; puts it in place when the block ends well.

    An existing folder changes places with the new one and is then removed; it comes back if that fails. A process
    killed meanwhile leaves the old folder or the new one; what it had to set aside comes back here, with the next
    write (see `swap`). The folder's own permissions stay.

    Args:
        path: the folder to write.
        marker: a file that tells our own folders: an existing folder with content but without it is refused, so that
            a mistyped path never deletes somebody's data.

    Raises:
        ResourceError: not writable, disk full, a file is in the way, or a folder that is not ours.
    """
    final = _real(path)
    temporary = final.with_name(temporary_name(".new"))
    replaced: Path | None = None
    remove_leftovers(final.parent)
    try:
        bring_back(final)
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
        replaced = put_in_place(temporary, final)
        _sync(final.parent)
    except OSError as error:
        raise _resource_error(final, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if replaced is not None:
            shutil.rmtree(replaced, ignore_errors=True)


def make_folder(path: str | Path) -> Path:
    """Makes a folder, its parents too, if it is not there.

    Raises:
        ResourceError: it cannot be made, or a file is in its place.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _resource_error(folder, error) from error
    return folder


def _real(path: str | Path) -> Path:
    """Follows links: the link's target is replaced, not the link."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError):
        raise ResourceError(f'"{Path(path).name}": expected a path that can be written, got a broken one') from None


def _keep_permissions(old: Path, new: Path) -> None:
    if old.exists():
        needed = 0o700 if old.is_dir() else 0o200  # for what is written now
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
    reason = error.strerror or type(error).__name__
    return ResourceError(f'"{path.name}": cannot be written ({reason}); check the folder, permissions and free space')
