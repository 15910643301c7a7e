"""The student to export, with the facts of its training that go into the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..runtime import arguments
from ..runtime.labels.postprocess import Postprocessing
from ..runtime.task import Task
from ..training.runs.learned_from import LearnedFrom

if TYPE_CHECKING:
    import torch


@runtime_checkable
class TrainedStudent(Protocol):
    """A student and the facts of its training, such as `bedside.distill.load_student` returns."""

    @property
    def model(self) -> torch.nn.Module:
        """The network: logits [B, C, D, H, W] from [B, 1, D, H, W]."""
        ...

    @property
    def task(self) -> Task:
        """The task it was trained for."""
        ...

    @property
    def student(self) -> str:
        """Registered name of the student."""
        ...

    @property
    def lam(self) -> float | None:
        """λ of the distillation loss; None where it is not recorded."""
        ...

    @property
    def teacher(self) -> str | None:
        """Name of the teacher; None without a teacher."""
        ...

    @property
    def learned_from(self) -> LearnedFrom:
        """The data that it was trained on; its fields are empty where they are not recorded."""
        ...

    @property
    def metrics(self) -> Mapping[str, str]:
        """Name → value, figures of the training; empty values are left out of the bundle."""
        ...

    @property
    def licence(self) -> str:
        """SPDX identifier, or another statement of the licence of the weights."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class ExportedStudent:
    """A `TrainedStudent` made of a network at hand: one of bedside's own, or of others (`bedside.export.networks`).

    Attributes: beside those of `TrainedStudent`:
        postprocessing: what the network's origin removes from its label maps; None for nothing.

    Raises:
        UsageError: an attribute has another type, or λ is not in 0…1.
    """

    model: torch.nn.Module
    task: Task
    student: str
    lam: float | None = None
    teacher: str | None = None
    learned_from: LearnedFrom = field(default_factory=LearnedFrom)
    metrics: Mapping[str, str] = field(default_factory=dict[str, str])
    postprocessing: Postprocessing | None = None
    licence: str = "Apache-2.0"

    def __post_init__(self) -> None:
        arguments.instance("task", self.task, Task)
        arguments.text("student", self.student)
        arguments.optional(arguments.share, "lam", self.lam)
        arguments.optional(arguments.text, "teacher", self.teacher)
        arguments.instance("learned_from", self.learned_from, LearnedFrom)
        arguments.instance("metrics", self.metrics, Mapping)
        arguments.optional(arguments.instance, "postprocessing", self.postprocessing, Postprocessing)
        arguments.text("licence", self.licence)

    @classmethod
    def of(cls, student: object, argument: str = "student") -> ExportedStudent:
        """Returns a `TrainedStudent` with its attributes checked.

        Args:
            student: the student, or a locator.
            argument: name of the argument, for messages.

        Raises:
            UsageError: ``student`` lacks an attribute, or one has another type.
        """
        if isinstance(student, ExportedStudent):
            return student
        if not isinstance(student, TrainedStudent):
            arguments.refuse(argument, f"what load_{argument} returns, or an ExportedStudent", student)
        return cls(
            model=student.model,
            task=student.task,
            student=student.student,
            lam=student.lam,
            teacher=student.teacher,
            learned_from=student.learned_from,
            metrics=student.metrics,
            licence=student.licence,
        )
