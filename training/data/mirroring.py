"""Which axes of a crop may be flipped or rotated, and how labels that name sides follow a mirrored crop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import UsageError
from ...runtime.scans.names import joined_names
from ...runtime.task import Task
from ..recipe import Augmentation
from .ends import Axis, find_ends

# Axes of a [C, D, H, W] crop, as MONAI counts them: channel excluded.
DEPTH, HEIGHT, WIDTH = 0, 1, 2
_SHOWN = 8
_ALONG: dict[Axis, str] = {"AP": "from front to back", "SI": "from top to bottom"}
_EQUAL = 0.05  # spacings that differ by a smaller share of the larger are taken as equal


def flip_axes(task: Task) -> tuple[int, ...]:
    """Returns the spatial axes of a ``[C, D, H, W]`` crop that may be flipped with unchanged labels.

    With left/right pairs of organs the left/right axis is excluded: mirrored scans would teach the network to confuse
    the sides.
    """
    return _axes_without(task, "LR") if task.has_paired_organs else (DEPTH, HEIGHT, WIDTH)


@dataclass(frozen=True)
class Mirror:
    """Mirrors a crop left to right: a left kidney becomes a right one, in the image and by its name.

    Attributes:
        axis: the spatial axis of a ``[C, D, H, W]`` crop that runs from side to side.
        counterparts: for each label the one that it becomes: that of the other side, or itself where it has no side.
    """

    axis: int
    counterparts: NDArray[np.int64]

    @classmethod
    def of(cls, task: Task) -> Mirror:
        """Returns the mirror of a task's crops."""
        (axis,) = {DEPTH, HEIGHT, WIDTH} - {*_axes_without(task, "LR")}
        return cls(axis, _counterparts(task.labels, task.sides.pairs))

    def labels(self, labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """Returns labels of any shape under the other side's names; values that are no label stay, as ignored ones."""
        known = labels < len(self.counterparts)
        return np.where(known, self.counterparts[np.where(known, labels, 0)], labels)

    def classes(self, probabilities: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Returns probabilities ``[C, D, H, W]`` with the classes of each pair exchanged."""
        return probabilities[self.counterparts]


def _counterparts(labels: Sequence[str], pairs: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
    result = np.arange(len(labels))
    for names in pairs:
        left, right = map(labels.index, names)
        result[left], result[right] = right, left
    return result


def check_mirroring(task: Task, augmentation: Augmentation) -> None:
    """Checks that each label has a counterpart in a mirrored crop.

    Raises:
        UsageError: mirrored crops are asked for, and a label names one side of an organ whose other side is no label,
            or the labels of a pair are parts of one organ, such as the ventricles of the heart.
    """
    if not augmentation.mirror:
        return
    sides = task.sides
    parts = [" / ".join(pair) for pair in sides.parts]
    if sides.single:
        reason = f"in a mirrored scan {joined_names(sides.single, _SHOWN)} would be what no label names"
    elif parts:
        reason = f"{joined_names(parts, _SHOWN)} are parts of one organ, and neither is the other's mirror image"
    else:
        return
    raise UsageError(f"--mirror: {reason}; leave --mirror out")


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


def mirroring_note(task: Task, augmentation: Augmentation) -> str | None:
    """Returns a note on what becomes of left and right where labels name sides; None where nothing is to be said."""
    sides = task.sides.describe(_SHOWN)
    if augmentation.mirror:
        return f"left and right are mirrored, and labels change places: {sides}" if task.sides.pairs else None
    if not (augmentation.flip and task.has_paired_organs):
        return None
    return f"left and right are not mirrored, for labels name sides: {sides}"


def flip_note(task: Task, augmentation: Augmentation) -> str | None:
    """Returns a note that crops are flipped along axes whose ends labels name; None where they are not.

    Such flips stay: the head of a hippocampus keeps its shape in a flipped crop, where a left kidney becomes a right
    one.
    """
    if not augmentation.flip:
        return None
    found = {along: find_ends(task.labels, axis) for axis, along in _ALONG.items()}
    pairs = [" / ".join(pair) for ends in found.values() for pair in ends]
    if not pairs:
        return None
    flipped = " and ".join(along for along, ends in found.items() if ends)
    return f"crops are flipped {flipped}, where labels name ends: {joined_names(pairs, _SHOWN)}; --flip 0 flips none"


def rotation_note(task: Task, augmentation: Augmentation) -> str | None:
    """Returns a note that the shape of the patch's axial plane prevents rotations; None if it does not."""
    if not augmentation.rotate or rotated_axes(task) is not None:
        return None
    voxels, spacing = (" × ".join(f"{number:g}" for number in numbers) for numbers in (task.patch, task.spacing))
    return (
        "crops are not rotated by right angles (--rotate), for the patch is not square in the axial plane: "
        f"{voxels} voxels of {spacing} mm"
    )
