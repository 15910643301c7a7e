"""Times a training step of every arm on random crops, all in turn, in several rounds; the fastest counts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from plan import ARMS

if TYPE_CHECKING:
    from plan import Plan

_ROUNDS = 4


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
    image = torch.rand(plan.batch, 1, *patch)
    label = torch.randint(classes, image.shape)
    target = torch.rand(plan.batch, classes, *patch).softmax(1)
    labels, taught = DistillationLoss(1.0), DistillationLoss(0.5, imitation=plan.imitation, ignores=True)
    kinds = {"labels": (student, labels, None), "taught": (student, taught, target), "teacher": (teacher, labels, None)}
    seconds = dict.fromkeys(kinds, float("inf"))
    for turn in range(_ROUNDS + 1):
        for kind, (network, loss, probabilities) in kinds.items():
            begun = time.process_time()
            loss(network(image), probabilities, label).backward()
            network.zero_grad(set_to_none=True)
            if turn:  # the first round includes one-time work
                seconds[kind] = min(seconds[kind], time.process_time() - begun)
    steps = {"teacher": round(plan.teacher_seconds / seconds["teacher"])}
    for name, arm in ARMS.items():
        steps[name] = round(arm.times * plan.seconds / seconds["taught" if arm.teachers else "labels"])
    return steps
