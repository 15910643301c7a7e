"""The teachers of a distillation: of the same classes, each once; the mean of their probabilities teaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..runtime.errors import InputError, UsageError
from ..runtime.task import Task
from ..training.data.prepared_case import PreparedCase
from .teacher import FLOAT_BYTES, Teacher
from .teacher_task import TeacherTask


@dataclass(frozen=True)
class Teachers:
    """One or more teachers of the same classes; the mean of their probabilities teaches.

    Each sees a scan as its own task prepares it: their grids, intensities and patches may differ.

    Attributes:
        members: the teachers, in the order given.
    """

    members: tuple[Teacher, ...]

    @classmethod
    def open(cls, paths: Sequence[Path]) -> Teachers:
        """Opens the teachers: runs of `train-teacher` or `distill`, or bundles.

        Raises:
            InputError: a directory holds no trained network.
            BundleError: a bundle was altered, has no fp32 model, or fails its self-test.
            UsageError: two teachers have different classes, or one is given twice.
        """
        check_given_once(paths)  # before a network is opened, which takes a while
        members = tuple(Teacher.open(path) for path in paths)
        for number, member in enumerate(members):
            check_teachers_classes(members[0].task, member, "give teachers of one task")
            if member.sha256 in (other.sha256 for other in members[:number]):
                raise UsageError(f'teacher "{member.name}" is given twice, or has the weights of another; give it once')
        return cls(members)

    def probabilities(self, case: PreparedCase, task: Task, device: torch.device) -> NDArray[np.float32]:
        """Returns the mean probabilities ``[C, D, H, W]`` of a whole case on its own grid, blended over windows.

        Args:
            case: the case.
            task: the task that it was prepared for, the student's.
            device: device that runs the teachers.

        Raises:
            InputError: a scan that a teacher has to read cannot be read any more, or a teacher's values are no numbers.
        """
        total: NDArray[np.float32] | None = None
        for member in self.members:
            one = member.probabilities(case, task, device)
            if not np.isfinite(one).all():
                raise InputError(f'teacher "{member.name}" has no number as probability in case "{case.name}"')
            total = one if total is None else np.add(total, one, out=total)  # in place: each may be gigabytes
        if total is None:
            raise ValueError("no teachers")
        return np.divide(total, len(self.members), out=total)

    def memory_needed(self, voxels: int, task: Task) -> int:
        """Predicts the bytes that `probabilities` needs at its peak.

        Args:
            voxels: number of voxels of the case, prepared for ``task``.
            task: the student's task.
        """
        per_class = max(member.memory_needed(voxels, task) for member in self.members)
        others = len(self.members) > 1
        return task.num_classes * (per_class + others * voxels * FLOAT_BYTES)

    def crop_probabilities(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the mean probabilities ``[B, C, D, H, W]`` of crops ``[B, 1, D, H, W]``, without gradients."""
        total: torch.Tensor | None = None
        with torch.inference_mode():
            for member in self.members:
                one = member.network.to(images.device)(images).float().softmax(1)
                total = one if total is None else total + one
        if total is None:
            raise ValueError("no teachers")
        return (total / len(self.members)).clone()


def check_given_once(paths: Sequence[Path]) -> None:
    """Checks that no teacher is given twice.

    Raises:
        UsageError: two paths lead to the same folder or file.
    """
    named = [path.resolve() for path in paths]
    for number, path in enumerate(named):
        if path in named[:number]:
            raise UsageError(f'teacher "{path.name}" is given twice; give it once')


def check_teachers(teachers: Sequence[Teacher | TeacherTask], task: Task, *, online: bool) -> None:
    """Checks that teachers can teach a student.

    Args:
        teachers: the teachers; their tasks suffice.
        task: the student's task.
        online: whether they are to see the student's very crops.

    Raises:
        UsageError: classes or modality differ, or online grid, intensities or patch; the message names the fields.
    """
    for teacher in teachers:
        check_teachers_classes(task, teacher, "leave --task out, or give a teacher of this task")
        if online:
            check_teachers_input(task, teacher)


def check_teachers_classes(task: Task, teacher: Teacher | TeacherTask, advice: str) -> None:
    """Checks that a teacher's task has the classes and the modality of another task.

    Args:
        task: the other task, the student's or that of another teacher.
        teacher: the teacher.
        advice: what to do where they differ, for the message.

    Raises:
        UsageError: they differ; the message names the fields.
    """
    may_differ = {"patch", *task.preparation} - {"modality"}
    _refuse(task.differing(teacher.task, but=may_differ), teacher, advice)


def check_teachers_input(task: Task, teacher: Teacher | TeacherTask) -> None:
    """Checks that a teacher can see the very crops of another task.

    Raises:
        UsageError: grid, intensities or patch differ; the message names the fields.
    """
    advice = "--teacher-targets online needs both to be equal; without it, they may differ"
    _refuse(task.differing(teacher.task), teacher, advice)


def _refuse(differing: Sequence[str], teacher: Teacher | TeacherTask, advice: str) -> None:
    if differing:
        fields = ", ".join(differing)
        raise UsageError(f'the task differs from that of teacher "{teacher.name}" in: {fields}; {advice}')
