"""Times a training step of every arm on random crops, and derives the steps that each makes in its seconds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bedside.benchmarks.shared.step_seconds import fastest_seconds
from plan import ARMS

if TYPE_CHECKING:
    from plan import Plan
    from torch import nn


def steps_of_arms(plan: Plan) -> dict[str, int]:
    """Returns how many steps each arm, and ``teacher``, makes in its seconds; CPU seconds of one step decide."""
    import torch
    from bedside.distill import STUDENTS, DistillationLoss, build_student
    from bedside.teacher import build_teacher
    from bedside.training.loop.memory_layout import use_channels_last

    torch.set_num_threads(plan.threads)
    torch.manual_seed(0)
    task = plan.task
    classes, patch = task.num_classes, task.patch.dhw
    student = build_student(plan.student, num_classes=classes)
    if plan.teacher in STUDENTS.own:
        teacher = build_student(plan.teacher, num_classes=classes)
    else:
        teacher = build_teacher(plan.teacher, num_classes=classes, patch=patch)
    for network in (student, teacher):
        use_channels_last(network)  # as training does
    balanced = plan.loss == "balanced-dice-ce"
    image = torch.rand(plan.batch, 1, *patch)
    label = torch.randint(classes, image.shape)
    target = torch.rand(plan.batch, classes, *patch).softmax(1)

    def step(network: nn.Module, loss: DistillationLoss, probabilities: torch.Tensor | None) -> None:
        loss(network(image), probabilities, label).backward()
        network.zero_grad(set_to_none=True)

    taught = DistillationLoss(0.5, imitation=plan.imitation, ignores=True, balanced=balanced)
    seconds = fastest_seconds(
        {
            "labels": partial(step, student, DistillationLoss(1.0, balanced=balanced), None),
            "taught": partial(step, student, taught, target),
            "teacher": partial(step, teacher, DistillationLoss(1.0, balanced=balanced), None),
        }
    )
    steps = {"teacher": round(plan.teacher_seconds / seconds["teacher"])}
    for name, arm in ARMS.items():
        steps[name] = round(arm.times * plan.seconds / seconds["taught" if arm.teachers else "labels"])
    return steps
