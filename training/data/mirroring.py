"""What a training says of mirroring left and right."""

from __future__ import annotations

from ...runtime.task import Task
from ..recipe import Augmentation

_SHOWN = 8


def mirroring_warning(task: Task, augmentation: Augmentation) -> str | None:
    """Returns what to warn of where sides are mirrored on request although labels name them."""
    if not (augmentation.mirror_sides and augmentation.flip and task.has_paired_organs):
        return None
    return (
        f"--mirror-sides: left and right are mirrored although labels name sides ({task.sides.words(_SHOWN)}): "
        "a network cannot learn to tell them apart"
    )


def mirroring_note(task: Task, augmentation: Augmentation) -> str | None:
    """Returns which pairs keep left and right from being mirrored; None where nothing does."""
    if augmentation.mirror_sides or not (augmentation.flip and task.has_paired_organs):
        return None
    return f"left and right are not mirrored, for labels name sides: {task.sides.words(_SHOWN)}"
