"""The task of a run directory or a bundle, such as a teacher's; known without torch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..runtime.bundles.bundle import Bundle
from ..runtime.errors import InputError
from ..runtime.task import Task
from ..training.runs.run import Run
from ..training.runs.run_or_bundle import is_bundle
from .locator import locator_task
from .students.registry import STUDENTS

_log = logging.getLogger("bedside.distill")


@dataclass(frozen=True)
class TeacherTask:
    """What is known of a teacher without opening its network.

    Attributes:
        name: name of its run directory or bundle.
        task: the task that it was trained for.
    """

    name: str
    task: Task

    @classmethod
    def of(cls, path: Path) -> TeacherTask:
        """Reads the configuration of a run directory or the manifest of a bundle.

        Raises:
            InputError: it is neither, or the run of a locator.
            BundleError: the bundle was altered.
        """
        if is_bundle(path):
            return cls(path.resolve().name, task_of_teacher(path))
        run = Run.open(path)
        check_no_locator(run)
        return cls(run.name, run.config.task)


def check_no_locator(run: Run) -> None:
    """Checks that a run's network can teach.

    Raises:
        InputError: it is a locator.
    """
    if run.config.model.kind == "locator":
        raise InputError(
            f'"{run.name}" is a locator run, and a locator cannot teach: give what was --output of train-teacher or '
            "distill, or a bundle"
        )


def earlier_task(
    teacher: Path | None, init: Path | None, student: str, *, locator: bool, patch: Sequence[int] | None = None
) -> Task | None:
    """Returns the task of a training that names none: that of its first teacher, or of the run that it starts from.

    A locator that starts from a locator has the task of that one, whoever teaches it; else it gets a coarse grid
    (`locator_task`).

    Args:
        teacher: run directory or bundle of the first teacher; None without one.
        init: run directory or bundle that the training starts from; None for random weights.
        student: name of the network that will be trained.
        locator: whether it is trained as a locator.
        patch: (x, y, z) in voxels; None for that of the earlier task, or a larger one if the student needs it.

    Returns:
        The task; None where there is neither teacher nor earlier run.

    Raises:
        InputError: the teacher, or what the training starts from, is neither a run directory nor a bundle.
        BundleError: the bundle was altered.
        UsageError: no student has this name, or the patch is not valid.
    """
    from_locator = locator and init is not None and _is_locator_run(init)
    earlier = init if from_locator else teacher or init
    if earlier is None:
        return None
    if locator and not from_locator:
        return locator_task(task_of_teacher(earlier), patch=patch)
    return task_of_student(earlier, student) if patch is None else task_of_teacher(earlier).replaced(patch=patch)


def _is_locator_run(path: Path) -> bool:
    return not is_bundle(path) and Run.open(path).config.model.kind == "locator"


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
