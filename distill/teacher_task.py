"""The task of a run directory or a bundle, such as a teacher's; known without torch."""

from __future__ import annotations

import logging
from pathlib import Path

from ..runtime.bundles.bundle import Bundle
from ..runtime.errors import InputError
from ..runtime.scans.file_kind import BUNDLE, kind_of_file
from ..runtime.task import Task
from ..training.runs.run import Run
from .students.registry import STUDENTS

_log = logging.getLogger("bedside.distill")


def is_bundle(path: Path) -> bool:
    """Returns whether a path is a bundle, a folder or a zip; else it is a run directory.

    Raises:
        InputError: it is neither.
    """
    found = kind_of_file(path)
    if found == BUNDLE:
        return True
    if not (path / Run.CONFIG).exists():
        is_what = "does not exist" if not path.exists() else f"is {found.name}" if found else "is something else"
        raise InputError(
            f'expected a run directory or a bundle, and "{path.name}" {is_what}: give what was --output of '
            "train-teacher, distill or export"
        )
    return False


def task_of_student(teacher: Path, student: str) -> Task:
    """Returns a teacher's task, with the smallest patch that contains its own and that a student accepts.

    Raises:
        InputError: there is no such teacher.
        BundleError: the teacher's bundle was altered.
        UsageError: no student has this name.
    """
    task = task_of_teacher(teacher)
    patch = STUDENTS.find(student).patch_rule.covering(task.patch.dhw).xyz
    if patch != task.patch:
        shown = [" ".join(map(str, sizes)) for sizes in (patch, task.patch)]
        _log.info('the patch is %s: "%s" does not accept %s, as in "%s"', shown[0], student, shown[1], teacher.name)
    return task.replaced(patch=patch)


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
