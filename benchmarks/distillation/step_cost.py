"""Times a training step of every arm on random crops, and derives the steps that each makes in its seconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bedside.benchmarks.shared.step_seconds import fastest_seconds, training_step
from plan import ARMS, Arm

if TYPE_CHECKING:
    from plan import Plan


def steps_of_arms(plan: Plan) -> dict[str, int]:
    """Returns how many steps each arm makes in its seconds, and ``teacher`` if one is trained.

    CPU seconds of one step decide.

    Raises:
        UsageError: the student or its teacher does not accept the plan's patch.
    """
    import torch
    from bedside.distill import STUDENTS, DistillationLoss, build_student
    from bedside.distill.students.registry import check_patch
    from bedside.distill.teacher import Teacher
    from bedside.teacher import build_teacher

    torch.set_num_threads(plan.threads)
    torch.manual_seed(0)
    task = plan.task
    classes, patch = task.num_classes, task.patch.dhw
    check_patch(plan.student, patch)
    student = build_student(plan.student, num_classes=classes)
    seen = patch
    if plan.teacher_runs:
        given = Teacher.open(Path(plan.teacher_runs[0]))
        teacher, seen = given.network, given.task.patch.dhw
    elif plan.teacher in STUDENTS.own:
        check_patch(plan.teacher, patch)
        teacher = build_student(plan.teacher, num_classes=classes)
    else:
        teacher = build_teacher(plan.teacher, num_classes=classes, patch=patch)
    crops = torch.rand(plan.batch, 1, *seen)

    def answer() -> None:
        with torch.inference_mode(), plan.autocast():
            teacher(crops)

    losses: dict[str, DistillationLoss] = {}
    for arm in ARMS.values():
        imitation = arm.imitation or plan.imitation
        losses[_loss(arm, plan)] = DistillationLoss(
            arm.lam, imitation=imitation, ignores=_ignores(arm), balanced=plan.balanced
        )
    timed = {name: training_step(student, loss, classes, patch, plan) for name, loss in losses.items()}
    if not plan.teacher_runs:
        timed["teacher"] = training_step(teacher, losses[_loss(Arm(), plan)], classes, patch, plan)
    seconds = fastest_seconds({"answer": answer, **timed})
    steps = {"teacher": round(plan.teacher_seconds / seconds["teacher"])} if "teacher" in seconds else {}
    for name, arm in ARMS.items():
        online = arm.teachers * seconds["answer"] if arm.targets == "online" else 0.0
        steps[name] = round(arm.times * plan.seconds / (seconds[_loss(arm, plan)] + online))
    return steps


def _loss(arm: Arm, plan: Plan) -> str:
    """Returns a name for an arm's loss: arms with the same loss have the same seconds."""
    if arm.lam == 1:
        return "labels"
    return f"{arm.imitation or plan.imitation}{'' if _ignores(arm) else ', all labelled'}"


def _ignores(arm: Arm) -> bool:
    """Returns whether an arm's crops may have no labels."""
    return arm.unlabelled > 0 and not arm.pseudo_labels
