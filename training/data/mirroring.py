"""The axes of a crop in the patient: which may be mirrored, left and right only where no label names a side."""

from __future__ import annotations

from ...runtime.task import Task
from ..recipe import Augmentation

# Axes of a [C, D, H, W] crop, as MONAI counts them: channel excluded.
DEPTH, HEIGHT, WIDTH = 0, 1, 2
_SHOWN = 8


def flip_axes(task: Task, augmentation: Augmentation) -> tuple[int, ...]:
    """Returns the spatial axes of a ``[C, D, H, W]`` crop that may be flipped.

    With left/right pairs of organs the left/right axis is excluded: mirrored scans would teach the network to confuse
    the sides.
    """
    if task.has_paired_organs and not augmentation.mirror_sides:
        return _axes_without(task, "LR")
    return DEPTH, HEIGHT, WIDTH


def axial_plane(task: Task) -> tuple[int, ...]:
    """Returns the two spatial axes of a ``[C, D, H, W]`` crop that lie in the patient's axial plane."""
    return _axes_without(task, "SI")


def _axes_without(task: Task, directions: str) -> tuple[int, ...]:
    """Returns the spatial axes that do not run along two opposite directions, such as "LR"."""
    along = zip((WIDTH, HEIGHT, DEPTH), task.orientation, strict=True)
    return tuple(sorted(axis for axis, towards in along if towards not in directions))


def mirroring_warning(task: Task, augmentation: Augmentation) -> str | None:
    """Returns a warning if left and right are mirrored on request although labels name sides, or the request is void.

    None without a request.
    """
    if not augmentation.mirror_sides:
        return None
    if not augmentation.flip:
        return "--mirror-sides has no effect: no crop is flipped; leave it out, or give a --flip above 0"
    if not task.has_paired_organs:
        return "--mirror-sides has no effect: no labels are a left and a right, so all axes are flipped; leave it out"
    return (
        f"--mirror-sides: left and right are mirrored although labels name sides ({task.sides.describe(_SHOWN)}): "
        "a network cannot learn to distinguish them"
    )


def mirroring_note(task: Task, augmentation: Augmentation) -> str | None:
    """Returns a note that left/right pairs of labels prevent mirroring; None without such pairs or without flips."""
    if augmentation.mirror_sides or not (augmentation.flip and task.has_paired_organs):
        return None
    return f"left and right are not mirrored, for labels name sides: {task.sides.describe(_SHOWN)}"
