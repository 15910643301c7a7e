"""The papers' augmentation, made of MONAI's transforms."""

from __future__ import annotations

from collections.abc import Sequence

from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import RandScaleIntensityd, RandShiftIntensityd
from monai.transforms.spatial.dictionary import RandFlipd, RandRotate90d

from ..runtime.task import Task
from .recipe import Augmentation

# Axes of a [C, D, H, W] crop, as MONAI counts them: channel excluded.
_DEPTH, _HEIGHT, _WIDTH = 0, 1, 2


def flip_axes(task: Task, augmentation: Augmentation) -> tuple[int, ...]:
    """Returns the spatial axes of a ``[C, D, H, W]`` crop that may be flipped.

    The left/right axis is left out where the task names sides: a mirrored scan would teach that left is right.
    """
    width_is_sides = task.orientation[0] in "LR"
    sides = _WIDTH if width_is_sides else (_HEIGHT if task.orientation[1] in "LR" else _DEPTH)
    axes = (_DEPTH, _HEIGHT, _WIDTH)
    if task.has_paired_organs and not augmentation.mirror_sides:
        return tuple(axis for axis in axes if axis != sides)
    return axes


def build_augmentation(task: Task, augmentation: Augmentation, spatial: Sequence[str]) -> Compose:
    """Builds the random transforms of a training crop.

    Args:
        task: says which axis is left/right and the patch.
        augmentation: probabilities.
        spatial: keys of the ``[C, D, H, W]`` arrays that turn together (image, label, teacher); ``"image"`` also has
            its intensities changed.
    """
    steps: list[object] = [
        RandFlipd(keys=spatial, prob=augmentation.flip, spatial_axis=axis)
        for axis in flip_axes(task, augmentation)
        if augmentation.flip
    ]
    x, y, _ = task.patch
    if augmentation.rotate and x == y:  # a quarter turn of an oblong patch would change its shape
        steps.append(RandRotate90d(keys=spatial, prob=augmentation.rotate, spatial_axes=(_HEIGHT, _WIDTH)))
    if augmentation.scale:
        steps.append(RandScaleIntensityd(keys=["image"], factors=0.1, prob=augmentation.scale))
    if augmentation.shift:
        steps.append(RandShiftIntensityd(keys=["image"], offsets=0.1, prob=augmentation.shift))
    return Compose(steps)  # pyright: ignore[reportArgumentType]
