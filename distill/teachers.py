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
from ..runtime.task import Task
from ..training.data.prepared_case import PreparedCase
from ..training.loop.validate import predict_probabilities
from ..training.runs.run import Run
from ..training.runs.run_config import TeacherRecord
from .trained import load_student

_OVERLAP = 0.5  # of the sliding windows over a whole case
_MAY_DIFFER = ("name", "patch", "anatomy", "intended_use")
"""Fields of the task that change neither the grid nor the meaning of a probability."""


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
    """One or more teachers with the same classes and grid; the mean of their probabilities teaches.

    Attributes:
        members: the teachers, in the order given.
    """

    members: tuple[Teacher, ...]

    @classmethod
    def open(cls, runs: Sequence[Path]) -> Teachers:
        """Opens the teachers' runs: runs of `train-teacher`, of `distill`, or of both.

        Raises:
            InputError: a directory holds no trained network.
            UsageError: two teachers have different classes or grids, or one is given twice.
        """
        members = tuple(_open(run) for run in runs)
        for number, member in enumerate(members):
            check_teachers_task(members[0].task, member)
            if member.sha256 in (other.sha256 for other in members[:number]):
                raise UsageError(
                    f'teacher "{member.run.name}" is given twice, or has the weights of another; give it once'
                )
        return cls(members)

    def probabilities(self, case: PreparedCase, device: torch.device) -> NDArray[np.float32]:
        """Returns the mean probabilities ``[C, D, H, W]`` of a whole case, blended over overlapping windows.

        Each teacher sees windows of its own task's patch.
        """
        total: torch.Tensor | None = None
        for member in self.members:
            network = member.network.to(device)
            one = predict_probabilities(network, case, member.task, overlap=_OVERLAP, device=device)
            total = one if total is None else total + one
        if total is None:
            raise ValueError("no teachers")
        return (total / len(self.members)).numpy()

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


def check_teachers_task(task: Task, teacher: Teacher) -> None:
    """Checks that a teacher's task has the classes and the grid of another task.

    Raises:
        UsageError: they differ; the message names the fields.
    """
    expected = teacher.task
    differing = [
        field
        for field in task.__struct_fields__
        if field not in _MAY_DIFFER and getattr(task, field) != getattr(expected, field)
    ]
    if differing:
        raise UsageError(
            f'the task differs from that of teacher "{teacher.run.name}" in: {", ".join(differing)}; leave --task out, '
            "or give teachers of one task"
        )


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


def _open(path: Path) -> Teacher:
    network, run = open_network(path)
    return Teacher(network, run, file_sha256(run.best))
