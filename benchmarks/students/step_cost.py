"""Derives the steps that each student makes in equal seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bedside.benchmarks.shared.step_seconds import fastest_seconds, training_step

if TYPE_CHECKING:
    from plan import Plan


def steps_of_students(plan: Plan, students: Sequence[str]) -> dict[str, int]:
    """Returns the steps of each student; CPU seconds of one step, timed in turn, decide."""
    import torch

    torch.set_num_threads(plan.threads)
    torch.manual_seed(0)
    seconds = fastest_seconds({student: _step(plan, student) for student in students})
    return {student: max(1, round(plan.seconds / each)) for student, each in seconds.items()}


def _step(plan: Plan, student: str) -> Callable[[], None]:
    from bedside.distill import DistillationLoss, build_student

    task = plan.task_of(student)
    network = build_student(student, num_classes=task.num_classes)
    loss = DistillationLoss(1.0, balanced=plan.balanced)
    return training_step(network, loss, task.num_classes, task.patch.dhw, plan)
