"""Refuses options of a distillation that contradict each other, its data set or its teachers, before it opens any."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..runtime.errors import UsageError
from ..runtime.task import Task
from ..training.data.dataset import Dataset
from .students.registry import check_patch
from .teacher_task import TeacherTask
from .teachers import check_given_once, check_teachers


def check_distillation(
    dataset: Dataset,
    task: Task,
    student: str,
    runs: Sequence[Path],
    lam: float,
    share: float,
    *,
    pseudo_labels: bool,
    online: bool,
) -> None:
    """Refuses what `distill` would refuse of these arguments, without opening a network.

    Args:
        dataset: the data set.
        task: the student's task.
        student: name in `STUDENTS`.
        runs: run directories or bundles of the teachers.
        lam: λ of the distillation loss.
        share: share of crops from scans without labels.
        pseudo_labels: whether the teachers label these scans.
        online: whether the teachers are to see the student's very crops.

    Raises:
        UsageError: options contradict each other, or the student or a teacher does not fit the task.
        InputError: a teacher is neither a run directory nor a bundle, or a locator.
        BundleError: a teacher's bundle was altered.
    """
    check_options(dataset, lam, share, pseudo_labels=pseudo_labels, taught=bool(runs))
    check_patch(student, task.patch.dhw)
    if lam < 1 or pseudo_labels:
        check_given_once(runs)
        check_teachers([TeacherTask.of(run) for run in runs], task, online=online)


def check_options(dataset: Dataset, lam: float, share: float, *, pseudo_labels: bool, taught: bool) -> None:
    """Refuses options of λ, teachers and scans without labels that contradict each other.

    Args:
        dataset: the data set.
        lam: λ of the distillation loss.
        share: share of crops from scans without labels.
        pseudo_labels: whether the teachers label these scans.
        taught: whether there are teachers.

    Raises:
        UsageError: they do.
    """
    if taught:
        _check_unlabelled(dataset, lam, share, pseudo_labels)
    else:
        _check_without_teacher(lam, share, pseudo_labels)


def _check_without_teacher(lam: float, share: float, pseudo_labels: bool) -> None:
    """Refuses what only a teacher can teach; never advises what would be refused next."""
    unwanted = [*(["--pseudo-labels"] if pseudo_labels else []), *(["--unlabelled and its share"] if share else [])]
    if lam < 1:
        raise UsageError(f"lambda {lam:g} needs a teacher: give --teacher" + ("" if unwanted else ", or --lambda 1"))
    if unwanted:
        teaching = "" if pseudo_labels else " with --pseudo-labels or a --lambda below 1"
        raise UsageError(
            f"scans without labels need a teacher: give --teacher{teaching}, or leave {' and '.join(unwanted)} out"
        )


def _check_unlabelled(dataset: Dataset, lam: float, share: float, pseudo_labels: bool) -> None:
    """Refuses scans without labels that teach nothing, and options for such scans where there are none."""
    if share and lam == 1 and not pseudo_labels:
        raise UsageError(
            "lambda 1 learns nothing from scans without labels: give --pseudo-labels or a --lambda below 1, or leave "
            "--unlabelled and its share out"
        )
    if (share or pseudo_labels) and not dataset.unlabelled:
        unwanted = [*(["--pseudo-labels"] if pseudo_labels else []), *(["--unlabelled-share"] if share else [])]
        raise UsageError(
            f'data set "{dataset.name}" lists no scans without labels: give --unlabelled FOLDER or name some under '
            f'"unlabeled", or leave {" and ".join(unwanted)} out'
        )
    if pseudo_labels and not share:
        raise UsageError(
            "pseudo-labels are for scans without labels, and no crop is drawn from these: give an --unlabelled-share "
            "above 0, or leave --pseudo-labels out"
        )
