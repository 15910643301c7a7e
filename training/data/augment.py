"""The papers' augmentation: MONAI's transforms draw it and change intensities; one copy flips and rotates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import (
    RandAdjustContrastd,
    RandGaussianNoised,
    RandScaleIntensityd,
    RandShiftIntensityd,
)
from monai.transforms.spatial.dictionary import RandFlipd, RandRotate90d
from numpy.typing import NDArray

from ...runtime.task import Task
from ..recipe import Augmentation
from .mirroring import flip_axes, rotated_axes


def build_augmentation(task: Task, augmentation: Augmentation, spatial: Sequence[str]) -> Compose:
    """Builds the random transforms of a training crop.

    Args:
        task: defines the left/right axis, the axial plane and the patch.
        augmentation: probability of each transform.
        spatial: keys of the ``[C, D, H, W]`` arrays to flip and rotate together (image, label, teacher); intensity
            transforms change only ``"image"``.
    """
    steps: list[object] = [
        RandFlipd(keys=spatial, prob=augmentation.flip, spatial_axis=axis)
        for axis in flip_axes(task)
        if augmentation.flip
    ]
    axes = rotated_axes(task)
    if augmentation.rotate and axes is not None:
        steps.append(RandRotate90d(keys=spatial, prob=augmentation.rotate, spatial_axes=axes))
    if augmentation.scale:
        steps.append(RandScaleIntensityd(keys=["image"], factors=0.1, prob=augmentation.scale))
    if augmentation.shift:
        steps.append(RandShiftIntensityd(keys=["image"], offsets=0.1, prob=augmentation.shift))
    if augmentation.contrast:
        steps.append(RandAdjustContrastd(keys=["image"], prob=augmentation.contrast, gamma=(0.7, 1.5)))
    if augmentation.noise:
        steps.append(RandGaussianNoised(keys=["image"], prob=augmentation.noise, std=0.1))
    return Compose(steps)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class FlipRotation:
    """Flips and right-angle rotations of a crop, exact, as a permutation of its voxels.

    Attributes:
        axes: for each axis of the result, the axis of the crop it runs along (0, 1, 2 for D, H, W).
        flipped: whether each axis of the crop is flipped.
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    flipped: tuple[bool, bool, bool] = (False, False, False)

    @staticmethod
    def read_from(probe: NDArray[np.integer[Any]]) -> FlipRotation:
        """Returns the transform that changed `PROBE` into the given ``[2, 2, 2]`` array."""
        origin = int(probe[0, 0, 0])
        ends = (probe[1, 0, 0], probe[0, 1, 0], probe[0, 0, 1])
        weights = (4, 2, 1)
        first, second, third = (weights.index(int(end) ^ origin) for end in ends)
        return FlipRotation((first, second, third), (bool(origin & 4), bool(origin & 2), bool(origin & 1)))

    def mirrored(self, axis: int) -> FlipRotation:
        """Returns the transform of a crop that is mirrored along one of its axes before."""
        return replace(self, flipped=tuple(flip != (number == axis) for number, flip in enumerate(self.flipped)))

    def target(self, result: NDArray[Any]) -> NDArray[Any]:
        """Returns a view of the result ``[..., D, H, W]``; writing the original crop to the view transforms it."""
        lead = result.ndim - 3
        order = [*range(lead), *(lead + int(axis) for axis in np.argsort(self.axes))]
        return result.transpose(order)[(..., *(slice(None, None, -1 if flip else 1) for flip in self.flipped))]


PROBE = np.arange(8).reshape(2, 2, 2)  # the value at (d, h, w) is 4·d + 2·h + w


class CropAugmentation:
    """Draws an augmentation and applies it, voxel for voxel as `build_augmentation` does with the same seed.

    The spatial transforms are applied to a probe of eight voxels. The same permutation then applies to image, labels
    and teacher probabilities while their crop is copied, so that this needs no second copy.

    Args:
        task: as in `build_augmentation`.
        augmentation: as in `build_augmentation`.
    """

    def __init__(self, task: Task, augmentation: Augmentation) -> None:
        self._all = build_augmentation(task, augmentation, ["probe"])
        self._spatial = [step for step in self._all.transforms if isinstance(step, RandFlipd | RandRotate90d)]
        self._intensity = [step for step in self._all.transforms if step not in self._spatial]

    def draw(self, seed: int) -> FlipRotation:
        """Seeds every transform and returns the drawn flips and rotations."""
        self._all.set_random_state(seed=seed)
        data: Mapping[Any, torch.Tensor] = {"probe": torch.from_numpy(PROBE[None])}
        for step in self._spatial:
            data = step(data)
        return FlipRotation.read_from(data["probe"].numpy()[0])

    def change_intensities(self, image: torch.Tensor) -> torch.Tensor:
        """Returns the image ``[1, D, H, W]`` with intensities scaled and shifted; call once after each `draw`."""
        data: Mapping[Any, torch.Tensor] = {"image": image}
        for step in self._intensity:
            data = cast("Mapping[Any, torch.Tensor]", step(data))  # pyright: ignore[reportCallIssue]
        return plain_tensor(data["image"])


def plain_tensor(value: torch.Tensor) -> torch.Tensor:
    """Removes the metadata that MONAI's transforms attach to a tensor."""
    return value.as_tensor() if isinstance(value, MetaTensor) else value
