"""Times a training step of every arm on random crops, and derives the steps that each makes in its seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bedside.benchmarks.shared.step_seconds import fastest_seconds, training_step
from plan import ARMS

if TYPE_CHECKING:
    from plan import Plan


def steps_of_arms(plan: Plan) -> dict[str, int]:
    """Returns how many steps each arm, and ``teacher``, makes in its seconds; CPU seconds of one step decide."""
    import torch
    from bedside.distill import STUDENTS, DistillationLoss, build_student
    from bedside.teacher import build_teacher

    torch.set_num_threads(plan.threads)
    torch.manual_seed(0)
    task = plan.task
    classes, patch = task.num_classes, task.patch.dhw
    student = build_student(plan.student, num_classes=classes)
    if plan.teacher in STUDENTS.own:
        teacher = build_student(plan.teacher, num_classes=classes)
    else:
        teacher = build_teacher(plan.teacher, num_classes=classes, patch=patch)
    alone = DistillationLoss(1.0, balanced=plan.balanced)
    taught = DistillationLoss(0.5, imitation=plan.imitation, ignores=True, balanced=plan.balanced)
    seconds = fastest_seconds(
        {
            "labels": training_step(student, alone, classes, plan.batch, patch),
            "taught": training_step(student, taught, classes, plan.batch, patch),
            "teacher": training_step(teacher, alone, classes, plan.batch, patch),
        }
    )
    steps = {"teacher": round(plan.teacher_seconds / seconds["teacher"])}
    for name, arm in ARMS.items():
        steps[name] = round(arm.times * plan.seconds / seconds["taught" if arm.teachers else "labels"])
    return steps
