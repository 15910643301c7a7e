"""Training crops: a patch around an organ or around other tissue, augmented; the same crop for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.compose import Compose
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from ..runtime.task import Task
from .augment import build_augmentation
from .prepare import PreparedCase
from .recipe import Recipe


@dataclass(frozen=True)
class CropSource:
    """A case together with what is cropped along with it.

    Attributes:
        case: image and labels.
        teacher: a ``[C, D, H, W]`` float16 array of teacher probabilities on the same grid, or None.
    """

    case: PreparedCase
    teacher: Path | None = None


class CropDataset(TorchDataset[dict[str, torch.Tensor]]):
    """Random crops of one epoch.

    Item ``i`` of epoch ``e`` depends on (seed, e, i) alone, so a resumed run sees the crops it would have seen.
    Items are ``image`` [1, D, H, W] float32, ``label`` [1, D, H, W] int64 and, with a teacher, ``teacher``
    [C, D, H, W] float32 probabilities.

    Args:
        sources: the cases, visited in a new random order each round.
        task: patch and orientation.
        recipe: balance, augmentation, seed.
        length: crops per epoch.
        epoch: which epoch.
        start: first item (to resume inside an epoch).
    """

    def __init__(
        self, sources: Sequence[CropSource], task: Task, recipe: Recipe, *, length: int, epoch: int, start: int = 0
    ) -> None:
        self._sources = tuple(sources)
        self._task = task
        self._recipe = recipe
        self._length = length
        self._epoch = epoch
        self._start = start
        keys = ["image", "label"] + (["teacher"] if self._sources[0].teacher is not None else [])
        self._augment: Compose = build_augmentation(task, recipe.augmentation, keys)

    def __len__(self) -> int:
        return self._length - self._start

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        item = index + self._start
        rounds, place = divmod(item, len(self._sources))
        order = np.random.default_rng((self._recipe.seed, self._epoch, rounds)).permutation(len(self._sources))
        source = self._sources[order[place]]
        rng = np.random.default_rng((self._recipe.seed, self._epoch, item, 1))

        image, labels = source.case.image(), source.case.labels()
        window = _window(self._centre(source.case, image.shape, rng), image.shape, self._task.patch_dhw)
        crop: dict[str, object] = {
            "image": torch.from_numpy(_cut(image, window, fill=self._task.intensity.air)[None]),
            "label": torch.from_numpy(_cut(labels, window, fill=0)[None].astype(np.int64)),
        }
        if source.teacher is not None:
            teacher = np.load(source.teacher, mmap_mode="r", allow_pickle=False)
            planes = [_cut(channel, window, fill=float(number == 0)) for number, channel in enumerate(teacher)]
            crop["teacher"] = torch.from_numpy(np.stack(planes).astype(np.float32))
        self._augment.set_random_state(seed=int(rng.integers(2**31)))
        augmented: dict[str, torch.Tensor] = self._augment(crop)  # pyright: ignore[reportAssignmentType]
        return {key: _plain(value) for key, value in augmented.items()}

    def _centre(self, case: PreparedCase, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, ...]:
        """Draws the voxel to crop around: an organ with probability ``positive``, else other tissue."""
        present = case.present
        if present and rng.random() < self._recipe.positive:
            sizes = np.array([1 if self._recipe.balance_classes else case.counts[label] for label in present])
            flat = case.centres(int(rng.choice(present, p=sizes / sizes.sum())))
        else:
            flat = case.centres(0)
        if not flat.size:
            flat = np.arange(int(np.prod(shape)), dtype=np.int64)
        return tuple(int(place) for place in np.unravel_index(int(rng.choice(flat)), shape))


@dataclass(frozen=True)
class _Window:
    """Where a patch lies: the part inside the volume, and the padding around it, per axis."""

    inside: tuple[slice, ...]
    padding: tuple[tuple[int, int], ...]


def _window(centre: Sequence[int], shape: Sequence[int], patch: Sequence[int]) -> _Window:
    """Places a patch around a centre, moved inside the volume; a smaller volume is centred in the patch."""
    inside: list[slice] = []
    padding: list[tuple[int, int]] = []
    for middle, size, length in zip(centre, shape, patch, strict=True):
        if size <= length:
            before = (length - size) // 2
            inside.append(slice(0, size))
            padding.append((before, length - size - before))
        else:
            start = min(max(middle - length // 2, 0), size - length)
            inside.append(slice(start, start + length))
            padding.append((0, 0))
    return _Window(tuple(inside), tuple(padding))


def _cut(array: NDArray[np.generic], window: _Window, *, fill: float) -> NDArray[np.generic]:
    return np.pad(np.asarray(array[window.inside]), window.padding, constant_values=fill)


def _plain(value: torch.Tensor) -> torch.Tensor:
    """Takes off the metadata MONAI's transforms leave on a tensor."""
    return (value.as_tensor() if isinstance(value, MetaTensor) else value).contiguous()
