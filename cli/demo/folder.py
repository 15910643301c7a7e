"""Makes the demo's folder, or removes from it what an earlier demo made."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...runtime.errors import ResourceError, UsageError

_OUTPUTS = (
    "data", "bedside-cases", "teacher-cases.json", "student-cases.json", "unseen", "teacher", "student", "baseline",
    "student.bedside", "student.parity.html", "predictions", "report.html", "results.json",
)  # fmt: skip
_MARKER = ".bedside-demo"  # file that marks a folder as the demo's


def prepare_folder(output: Path) -> None:
    """Makes the folder, or removes what an earlier demo made in it, and nothing else.

    Raises:
        UsageError: the path is a file, or a folder with content that no demo marked as its own.
        ResourceError: the folder cannot be written.
    """
    try:
        _refuse_foreign(output)
        output.mkdir(parents=True, exist_ok=True)
        (output / _MARKER).touch()
        for path in (*(output / name for name in _OUTPUTS), *output.glob(".bedside-*")):
            if path.name != _MARKER:
                _remove(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ResourceError(f'"{output}": cannot be written ({reason}); choose another folder with -o') from error


def _refuse_foreign(output: Path) -> None:
    """Refuses a file, and a folder with content that no demo has marked as its own."""
    if output.exists() and not output.is_dir():
        raise UsageError(f'"{output}" is a file; expected a folder')
    present = sorted(path.name for path in output.iterdir()) if output.is_dir() else []
    if present and not (output / _MARKER).is_file():
        names = ", ".join(f'"{name}"' for name in present[:3]) + (", ..." if len(present) > 3 else "")
        raise UsageError(f'"{output}" is no earlier demo\'s folder, it holds {names}; choose a new folder with -o')


def _remove(path: Path) -> None:
    """Removes a file, a folder or a link; the target of a link stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
