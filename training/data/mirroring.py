"""Which axes of a crop may be mirrored or rotated: left and right only where no label names a side."""

from __future__ import annotations

import math

from ...runtime.task import Task
from ..recipe import Augmentation

# Axes of a [C, D, H, W] crop, as MONAI counts them: channel excluded.
DEPTH, HEIGHT, WIDTH = 0, 1, 2
_SHOWN = 8
_EQUAL = 0.05  # spacings that differ by a smaller share of the larger are taken as equal


def flip_axes(task: Task, augmentation: Augmentation) -> tuple[int, ...]:
    """Returns the spatial axes of a ``[C, D, H, W]`` crop that may be flipped.

    With left/right pairs of organs the left/right axis is excluded: mirrored scans would teach the network to confuse
    the sides.
    """
    if task.has_paired_organs and not augmentation.mirror_sides:
        return _axes_without(task, "LR")
    return DEPTH, HEIGHT, WIDTH


def rotated_axes(task: Task) -> tuple[int, int] | None:
    """Returns the two spatial axes of a ``[C, D, H, W]`` crop in the axial plane, between which crops are rotated.

    None where the patch's axial plane is not square: a right angle would change its shape, or stretch the anatomy.
    """
    first, second = _axes_without(task, "SI")
    edges, spacing = task.patch.dhw, task.spacing[::-1]
    square = edges[first] == edges[second] and math.isclose(spacing[first], spacing[second], rel_tol=_EQUAL)
    return (first, second) if square else None


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


def rotation_note(task: Task, augmentation: Augmentation) -> str | None:
    """Returns a note that the shape of the patch's axial plane prevents rotations; None if it does not."""
    if not augmentation.rotate or rotated_axes(task) is not None:
        return None
    voxels, spacing = (" × ".join(f"{number:g}" for number in numbers) for numbers in (task.patch, task.spacing))
    return (
        "crops are not rotated by right angles (--rotate), for the patch is not square in the axial plane: "
        f"{voxels} voxels of {spacing} mm"
    )
