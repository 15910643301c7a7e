"""The task of a teacher, a run directory or a bundle; known without torch."""

from __future__ import annotations

from pathlib import Path

from ..runtime.bundles.bundle import Bundle
from ..runtime.errors import InputError
from ..runtime.scans.file_kind import BUNDLE, kind_of_file
from ..runtime.task import Task
from ..training.runs.run import Run


def is_bundle(path: Path) -> bool:
    """Returns whether a teacher is a bundle, a folder or a zip; else it is a run directory.

    Raises:
        InputError: it is neither.
    """
    if kind_of_file(path) == BUNDLE:
        return True
    if not (path / Run.CONFIG).exists():
        raise InputError(
            f'"{path.name}" is neither a run directory nor a bundle: give what was --output of train-teacher, distill '
            "or export"
        )
    return False


def task_of_teacher(path: Path) -> Task:
    """Returns the task of a teacher's run directory or bundle, without opening its network.

    Raises:
        InputError: it is neither.
        BundleError: the bundle was altered.
    """
    if is_bundle(path):
        with Bundle.open(path) as bundle:
            return bundle.task
    return Run.open(path).config.task
