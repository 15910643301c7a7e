"""The papers' augmentation: MONAI's transforms decide and change intensities; turning is left to one copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import RandScaleIntensityd, RandShiftIntensityd
from monai.transforms.spatial.dictionary import RandFlipd, RandRotate90d
from numpy.typing import NDArray

from ...runtime.task import Task
from ..recipe import Augmentation

# Axes of a [C, D, H, W] crop, as MONAI counts them: channel excluded.
_DEPTH, _HEIGHT, _WIDTH = 0, 1, 2


def flip_axes(task: Task, augmentation: Augmentation) -> tuple[int, ...]:
    """Returns the spatial axes of a ``[C, D, H, W]`` crop that may be flipped.

    The left/right axis is left out where labels are pairs of a left and a right organ: a mirrored scan would teach
    that left is right.
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


@dataclass(frozen=True)
class Turn:
    """How a crop is turned: exact, a permutation of its voxels.

    Attributes:
        axes: which axis (0, 1, 2 for D, H, W) of the crop each axis of the result runs along.
        flipped: whether each axis of the crop is flipped.
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    flipped: tuple[bool, bool, bool] = (False, False, False)

    @staticmethod
    def read_from(probe: NDArray[np.integer[Any]]) -> Turn:
        """Reads off what became of `PROBE` (``[2, 2, 2]``)."""
        origin = int(probe[0, 0, 0])
        ends = (probe[1, 0, 0], probe[0, 1, 0], probe[0, 0, 1])
        weights = (4, 2, 1)
        first, second, third = (weights.index(int(end) ^ origin) for end in ends)
        return Turn((first, second, third), (bool(origin & 4), bool(origin & 2), bool(origin & 1)))

    def target(self, result: NDArray[Any]) -> NDArray[Any]:
        """Returns a view of the result ``[..., D, H, W]`` in which the crop lies as it is before it is turned."""
        lead = result.ndim - 3
        order = [*range(lead), *(lead + int(axis) for axis in np.argsort(self.axes))]
        return result.transpose(order)[(..., *(slice(None, None, -1 if flip else 1) for flip in self.flipped))]


PROBE = np.arange(8).reshape(2, 2, 2)  # a voxel's number is 4·d + 2·h + w of its place


class CropAugmentation:
    """Draws an augmentation and applies it; the same as `build_augmentation` with the same seed, voxel by voxel.

    The spatial transforms are drawn and applied to a probe of eight voxels. What they did to it is then done to image,
    labels and teacher probabilities by writing the crop to its turned place, in the one copy that cutting it out takes.

    Args:
        task: as in `build_augmentation`.
        augmentation: probabilities.
    """

    def __init__(self, task: Task, augmentation: Augmentation) -> None:
        self._all = build_augmentation(task, augmentation, ["probe"])
        self._spatial = [step for step in self._all.transforms if isinstance(step, RandFlipd | RandRotate90d)]
        self._intensity = [step for step in self._all.transforms if step not in self._spatial]

    def draw(self, seed: int) -> Turn:
        """Seeds every transform and returns how the crop is to be turned."""
        self._all.set_random_state(seed=seed)
        data: Mapping[Any, torch.Tensor] = {"probe": torch.from_numpy(PROBE[None])}
        for step in self._spatial:
            data = step(data)
        return Turn.read_from(data["probe"].numpy()[0])

    def change_intensities(self, image: torch.Tensor) -> torch.Tensor:
        """Returns the image ``[1, D, H, W]`` scaled and shifted as drawn; to be called once after `draw`."""
        data: Mapping[Any, torch.Tensor] = {"image": image}
        for step in self._intensity:
            data = cast("Mapping[Any, torch.Tensor]", step(data))  # pyright: ignore[reportCallIssue]
        return plain_tensor(data["image"])


def plain_tensor(value: torch.Tensor) -> torch.Tensor:
    """Takes off the metadata that MONAI's transforms leave on a tensor."""
    return value.as_tensor() if isinstance(value, MetaTensor) else value
