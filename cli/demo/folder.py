"""Makes the demo's folder, or removes from it what an earlier demo made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from ...runtime.errors import ResourceError, UsageError
from ...training.data.case_cache import CASES_FOLDER
from .divide import PREDICTIONS

BUNDLE, GATE_PAGE = "student.bedside", "student.parity.html"
_OUTPUTS = (
    "data", CASES_FOLDER, "teacher-cases.json", "student-cases.json", "unseen", "teacher", "student", "baseline",
    BUNDLE, GATE_PAGE, PREDICTIONS, "report.html", "results.json",
)  # fmt: skip
_MARKER = ".bedside-demo"  # file that marks a folder as the demo's


def check_folder(output: Path) -> None:
    """Checks that a demo may write to a folder; changes nothing.

    Raises:
        UsageError: the path is a file, a folder with content that no demo marked as its own, or lies in what another
            demo made.
        ResourceError: the folder cannot be read.
    """
    with _refused_by_system(output):
        _refuse_foreign(output)
        _refuse_nested(output)


def check_outside(output: Path, inputs: Iterable[Path]) -> None:
    """Checks that no input lies in the demo's folder, whose content the demo replaces.

    Args:
        output: the demo's folder.
        inputs: files and folders that the demo reads.

    Raises:
        UsageError: an input, or the file that a link leads to, lies in the folder.
    """
    folder = output.resolve()
    for path in inputs:
        listed = Path(os.path.abspath(path))  # noqa: PTH100 - a link's own place, without following it
        if any(place.is_relative_to(folder) for place in (listed.parent.resolve() / listed.name, path.resolve())):
            raise UsageError(
                f'"{path.name}" lies in the demo\'s folder "{output}", whose content the demo replaces; '
                "choose another folder with -o"
            )


def prepare_folder(output: Path) -> None:
    """Makes the folder, or removes what an earlier demo made in it, and nothing else.

    Raises:
        UsageError: as in `check_folder`.
        ResourceError: the folder cannot be written.
    """
    check_folder(output)
    with _refused_by_system(output):
        output.mkdir(parents=True, exist_ok=True)
        (output / _MARKER).touch()
        for path in (*(output / name for name in _OUTPUTS), *output.glob(".bedside-*")):
            if path.name != _MARKER:
                _remove(path)


@contextmanager
def _refused_by_system(output: Path) -> Generator[None]:
    try:
        yield
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


def _refuse_nested(output: Path) -> None:
    """Refuses a folder in what another demo made: the next demo there would remove it."""
    whole = output.resolve()
    for folder in whole.parents:
        part = whole.relative_to(folder).parts[0]
        if part in _OUTPUTS and (folder / _MARKER).is_file():
            raise UsageError(
                f'"{output}" lies in "{part}" of the demo in "{folder.name}", which a demo there replaces; '
                "choose another folder with -o"
            )


def _remove(path: Path) -> None:
    """Removes a file, a folder or a link; the target of a link stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
