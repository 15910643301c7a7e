"""Messages about left/right mirroring in training."""

from __future__ import annotations

from ...runtime.task import Task
from ..recipe import Augmentation

_SHOWN = 8


def mirroring_warning(task: Task, augmentation: Augmentation) -> str | None:
    """Returns a warning if left and right are mirrored on request although labels name sides, else None."""
    if not (augmentation.mirror_sides and augmentation.flip and task.has_paired_organs):
        return None
    return (
        f"--mirror-sides: left and right are mirrored although labels name sides ({task.sides.words(_SHOWN)}): "
        "a network cannot learn to tell them apart"
    )


def mirroring_note(task: Task, augmentation: Augmentation) -> str | None:
    """Returns a note that left/right pairs of labels prevent mirroring; None without such pairs or without flips."""
    if augmentation.mirror_sides or not (augmentation.flip and task.has_paired_organs):
        return None
    return f"left and right are not mirrored, for labels name sides: {task.sides.words(_SHOWN)}"
