"""A trained student with the facts of its training that go into a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..runtime import arguments
from ..runtime.labels.postprocess import Postprocessing
from ..runtime.task import Task
from .runs.learned_from import LearnedFrom

if TYPE_CHECKING:
    import torch

OWN_LICENCE = "Apache-2.0"
"""SPDX identifier of the licence of networks that nobody else's network taught."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedStudent:
    """A trained student, or a locator, and the facts of its training.

    `bedside.distill.load_student` returns one of a run, `bedside.export.networks` one of another project's network; one
    of a network at hand can be exported likewise.

    Attributes:
        model: the network: logits ``[B, C, D, H, W]`` from ``[B, 1, D, H, W]``.
        task: the task it was trained for.
        student: its name, such as one in `STUDENTS`.
        lam: λ it was trained with, 1 without a teacher; None where it is not recorded.
        teacher: names of its teachers, joined by commas; None without a teacher.
        learned_from: the data that it was trained on; its fields are empty where they are not recorded.
        metrics: name → value, figures and origins of the training; empty values are left out of the bundle.
        postprocessing: what the network's origin removes from its label maps; None for nothing.
        licence: SPDX identifier, or another statement of the licence of the weights.

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
    licence: str = OWN_LICENCE

    def __post_init__(self) -> None:
        arguments.instance("task", self.task, Task)
        arguments.text("student", self.student)
        arguments.optional(arguments.share, "lam", self.lam)
        arguments.optional(arguments.text, "teacher", self.teacher)
        arguments.instance("learned_from", self.learned_from, LearnedFrom)
        arguments.instance("metrics", self.metrics, Mapping)
        arguments.optional(arguments.instance, "postprocessing", self.postprocessing, Postprocessing)
        arguments.text("licence", self.licence)
