"""Checks a file that a command writes once, and replaces on demand alone."""

from __future__ import annotations

from pathlib import Path

from ...runtime.bundles.outputs import check_writable
from ...runtime.errors import UsageError


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
