"""Opens the teachers of a distillation, runs of any kind, and averages their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..runtime.errors import UsageError
from ..runtime.files.hashing import file_sha256
from ..runtime.preprocessing.preprocess import to_model_input
from ..runtime.preprocessing.resample import resample_linear
from ..runtime.scans.nifti import read_volume
from ..runtime.task import Task
from ..training.data.prepared_case import PreparedCase
from ..training.loop.validate import predict_logits, predict_probabilities
from ..training.runs.run import Run
from ..training.runs.run_config import TeacherRecord
from .trained import load_student

_OVERLAP = 0.5  # of the sliding windows over a whole case


@dataclass(frozen=True)
class Teacher:
    """A trained network that teaches.

    Attributes:
        network: network in evaluation mode, logits ``[B, C, D, H, W]`` from ``[B, 1, D, H, W]``.
        run: its run.
        sha256: hash of its weights file.
    """

    network: torch.nn.Module
    run: Run
    sha256: str

    @property
    def task(self) -> Task:
        """Task it was trained for."""
        return self.run.config.task

    @property
    def record(self) -> TeacherRecord:
        """What a student's run records of it."""
        return TeacherRecord(name=self.run.name, sha256=self.sha256)


@dataclass(frozen=True)
class Teachers:
    """One or more teachers of the same classes; the mean of their probabilities teaches.

    Each sees a scan as its own task prepares it: their grids, intensities and patches may differ.

    Attributes:
        members: the teachers, in the order given.
    """

    members: tuple[Teacher, ...]

    @classmethod
    def open(cls, runs: Sequence[Path]) -> Teachers:
        """Opens the teachers' runs: runs of `train-teacher`, of `distill`, or of both.

        Raises:
            InputError: a directory holds no trained network.
            UsageError: two teachers have different classes, or one is given twice.
        """
        members = tuple(_open(run) for run in runs)
        for number, member in enumerate(members):
            check_teachers_classes(members[0].task, member)
            if member.sha256 in (other.sha256 for other in members[:number]):
                raise UsageError(
                    f'teacher "{member.run.name}" is given twice, or has the weights of another; give it once'
                )
        return cls(members)

    def probabilities(self, case: PreparedCase, task: Task, device: torch.device) -> NDArray[np.float32]:
        """Returns the mean probabilities ``[C, D, H, W]`` of a whole case on its own grid, blended over windows.

        A teacher whose task prepares scans in another way reads the scan itself; its probabilities are interpolated.

        Args:
            case: the case.
            task: the task that it was prepared for, the student's.
            device: device that runs the teachers.

        Raises:
            InputError: a scan that a teacher has to read cannot be read any more.
        """
        total: NDArray[np.float32] | None = None
        for member in self.members:
            member.network.to(device)
            if member.task.preparation == task.preparation:
                network = member.network
                one = predict_probabilities(network, case, member.task, overlap=_OVERLAP, device=device).numpy()
            else:
                one = _interpolated(member, case, task, device)
            total = one if total is None else total + one
        if total is None:
            raise ValueError("no teachers")
        return np.divide(total, len(self.members), dtype=np.float32)

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


def check_teachers_classes(task: Task, teacher: Teacher) -> None:
    """Checks that a teacher's task has the classes and the modality of another task.

    Raises:
        UsageError: they differ; the message names the fields.
    """
    may_differ = {"patch", *task.preparation} - {"modality"}
    _refuse(task.differing(teacher.task, but=may_differ), teacher, "leave --task out, or give teachers of it")


def check_teachers_input(task: Task, teacher: Teacher) -> None:
    """Checks that a teacher can see the very crops of another task.

    Raises:
        UsageError: grid, intensities or patch differ; the message names the fields.
    """
    advice = "with --teacher-targets online both must be equal; leave it out"
    _refuse(task.differing(teacher.task), teacher, advice)


def _refuse(differing: Sequence[str], teacher: Teacher, advice: str) -> None:
    if differing:
        fields = ", ".join(differing)
        raise UsageError(f'the task differs from that of teacher "{teacher.run.name}" in: {fields}; {advice}')


def open_network(path: Path) -> tuple[torch.nn.Module, Run]:
    """Opens the trained network of any run.

    Returns:
        The network in evaluation mode, logits ``[B, C, D, H, W]`` from ``[B, 1, D, H, W]``, and its run.

    Raises:
        InputError: the directory holds no trained network.
    """
    run = Run.open(path)
    if run.config.model.kind == "student":
        return load_student(path).model, run
    from ..teacher.train import load_teacher

    return load_teacher(path)


def _interpolated(teacher: Teacher, case: PreparedCase, task: Task, device: torch.device) -> NDArray[np.float32]:
    """Returns a teacher's probabilities ``[C, D, H, W]`` of a case prepared for another task, on the case's grid."""
    if case.scan is None:
        raise ValueError("expected a case with the file of its scan")
    scan = read_volume(case.scan)
    own = to_model_input(scan, teacher.task)
    logits = predict_logits(teacher.network, own.array, teacher.task, overlap=_OVERLAP, device=device)
    grid = scan.grid.to_task_grid(task.orientation, task.spacing)
    return np.stack([resample_linear(organ, own.grid, grid) for organ in logits.softmax(0).numpy()])


def _open(path: Path) -> Teacher:
    network, run = open_network(path)
    return Teacher(network, run, file_sha256(run.best))
