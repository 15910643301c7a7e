"""Tells a run directory from a bundle, where either holds the trained network."""

from __future__ import annotations

from pathlib import Path

from ...runtime.bundles.manifest import MANIFEST_NAME
from ...runtime.errors import InputError
from ...runtime.files.folder_replacement import restore_moved_folder
from ...runtime.scans.file_kind import BUNDLE, FileKind, has_nifti_magic, kind_of_file
from ...runtime.shortage import raise_shortage
from .inner_runs import RUN_CONFIG, run_advice


def restore_replaced(path: Path) -> None:
    """Moves a bundle back to its path whose replacement was killed half-way, if nothing is there now.

    Raises:
        InputError: it cannot be moved.
        ResourceError: file descriptors ran out, or the disk failed.
    """
    try:
        restore_moved_folder(path.resolve())
    except OSError as error:
        raise_shortage(error, f'"{path.name}"')
        raise InputError(f'"{path.name}" cannot be opened: {error.strerror}; check the path and permissions') from None


def is_bundle(path: Path) -> bool:
    """Returns whether a path is a bundle, a folder or a zip; else it is a run directory.

    Raises:
        InputError: it is neither.
    """
    restore_replaced(path)
    found = kind_of_file(path)
    if found == BUNDLE:
        return True
    if not (path / RUN_CONFIG).exists():
        advice = run_advice(path, "train-teacher, distill or export")
        raise InputError(
            f'expected a run directory or a bundle, and "{path.name}" {_description(path, found)}: {advice}'
        )
    return False


def _description(path: Path, kind: FileKind | None) -> str:
    if not path.exists():
        return "does not exist"
    if kind is not None:
        return f"is {kind.name}"
    if path.is_dir():
        return f"is a folder without {RUN_CONFIG} or {MANIFEST_NAME}"
    return "is a NIfTI file" if has_nifti_magic(path) else "is a file of another kind"
