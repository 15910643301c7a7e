"""Draws training crops: augmented patches around an organ or other tissue, reproducible from the seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch.utils.data import Dataset as TorchDataset

from ...runtime.labels.probabilities import LEVELS
from ...runtime.task import Task
from ..recipe import Recipe
from .affine import SmallAffine
from .augment import CropAugmentation, FlipRotation
from .ignore_label import IGNORED
from .mirroring import Mirror
from .prepared_case import PreparedCase
from .soft_labels import SoftLabelArrays, SoftLabels

OPEN_CASES = 128
"""Number of cases whose files stay open: up to four descriptors each, and many systems allow 1,024 per process."""

_GOLDEN = (5**0.5 - 1) / 2  # its multiples, without their whole part, fill 0…1 evenly


@dataclass(frozen=True)
class CropSource:
    """A case to draw crops from, with its teacher probabilities.

    Attributes:
        case: prepared case with image and labels.
        soft_labels: a teacher's probabilities on the same grid, or None.
        imitated: whether crops have the soft labels, for a loss against them.
        pseudo_labelled: whether the most probable class of the soft labels is each voxel's label, in place of the
            case's own.
    """

    case: PreparedCase
    soft_labels: SoftLabels | None = None
    imitated: bool = True
    pseudo_labelled: bool = False

    def around_soft_labels(self) -> CropSource:
        """Returns the source with crops centred on the organs that the teacher found, for a case without labels.

        Raises:
            ValueError: the source has no soft labels.
        """
        soft = self.soft_labels
        if soft is None:
            raise ValueError(f"{self.case.name}: the source has no soft labels")
        return replace(self, case=self.case.with_centres(soft.centres_file, soft.counts, soft.centre_counts))


@dataclass(frozen=True)
class _Arrays:
    """A source's arrays, memory-mapped."""

    image: NDArray[np.float32]
    labels: NDArray[Any]
    centres: NDArray[Any]
    soft_labels: SoftLabelArrays | None

    @classmethod
    def of(cls, source: CropSource) -> _Arrays:
        case, soft = source.case, source.soft_labels
        return cls(case.image(), case.labels(), case.all_centres(), None if soft is None else soft.arrays())


Batch = dict[str, torch.Tensor]
Key = tuple[int, int]
"""(epoch, item): with the seed, this determines a crop."""


class CropDataset(TorchDataset[Batch]):
    """Random crops of all epochs.

    ``crops[e, i]``, item i of epoch e, depends only on (seed, e, i), so a resumed run gets the same crops as an
    uninterrupted one, with any number of threads. Items are ``image`` [1, D, H, W] float32, ``label`` [1, D, H, W]
    int64 (`IGNORED` for voxels that the loss leaves out) and, with a teacher, ``teacher`` [C, D, H, W] probabilities
    as stored (uint8 in units of 1/255, because they are the bulk of a crop).

    Only the patch is read, from memory-mapped files; those of the last `OPEN_CASES` cases stay open. One copy per array
    cuts, flips, rotates and converts it.

    A share of the items comes from cases without labels (`Recipe.unlabelled`), spread evenly over an epoch and over the
    epochs: of an epoch with three items half are one or two.

    Args:
        sources: cases; those with labels and those without are each visited in a new random order each round.
        task: patch and orientation.
        recipe: balance, augmentation, share of crops without labels, seed.
    """

    def __init__(self, sources: Sequence[CropSource], task: Task, recipe: Recipe) -> None:
        self._sources = tuple(sources)
        self._labelled = [number for number, source in enumerate(sources) if source.case.labelled]
        self._unlabelled = [number for number, source in enumerate(sources) if not source.case.labelled]
        self._unlabelled_share = recipe.unlabelled_share
        self._task = task
        self._recipe = recipe
        self._augment = CropAugmentation(task, recipe.augmentation)
        self._mirror = Mirror.of(task)
        self._arrays = lru_cache(OPEN_CASES)(lambda number: _Arrays.of(sources[number]))

    def for_another_thread(self) -> CropDataset:
        """Returns the same crops for use in another thread: shares the open files, but not the random transforms."""
        other = CropDataset(self._sources, self._task, self._recipe)
        other._arrays = self._arrays
        return other

    def __reduce__(self) -> tuple[object, ...]:
        """Excludes the open files: another process opens its own, and pickling them would copy their content."""
        return CropDataset, (self._sources, self._task, self._recipe)

    def __getitem__(self, key: Key) -> Batch:
        epoch, item = key
        number = self._source(epoch, item)
        rng = np.random.default_rng((self._recipe.seed, epoch, item, 1))

        source, arrays = self._sources[number], self._arrays(number)
        case = source.case
        centre = self._centre(case, arrays, rng)
        mirror, turn = self._drawn_mirror(epoch, item), self._augment.draw(_seed(rng))
        turn = turn if mirror is None else turn.mirrored(mirror.axis)
        cut = _Cut(_Window.around(centre, arrays.image.shape, self._task.patch.dhw), turn)
        image = cut(arrays.image[None], np.float32, (self._task.intensity.air,))
        soft = None if arrays.soft_labels is None else arrays.soft_labels[cut.window.inside]
        if soft is not None and source.pseudo_labelled:
            labels = cut.place(soft.argmax(0)[None], np.int64, (0,))
        else:
            labels = cut(arrays.labels[None], np.int64, (0 if case.labelled else IGNORED,))
        crop = {
            "image": self._augment.change_intensities(torch.from_numpy(image)),
            "label": torch.from_numpy(labels if mirror is None else mirror.labels(labels)),
        }
        if soft is not None and source.imitated:
            outside = (LEVELS, *(0 for _ in soft[1:]))
            classes = soft if mirror is None else mirror.classes(soft)
            crop["teacher"] = torch.from_numpy(cut.place(classes, np.uint8, outside))
        return self._turned(crop, epoch, item)

    def _drawn_mirror(self, epoch: int, item: int) -> Mirror | None:
        """Returns the mirror with the recipe's probability."""
        rng = np.random.default_rng((self._recipe.seed, epoch, item, 4))
        return self._mirror if rng.random() < self._recipe.augmentation.mirror else None

    def _turned(self, crop: Batch, epoch: int, item: int) -> Batch:
        """Returns the crop, rotated and zoomed with the recipe's probability."""
        rng = np.random.default_rng((self._recipe.seed, epoch, item, 3))
        if rng.random() >= self._recipe.augmentation.affine:
            return crop
        x, y, z = (size * step for size, step in zip(self._task.patch, self._task.spacing, strict=True))
        return SmallAffine.draw(rng, (x, y, z))(crop)

    def _source(self, epoch: int, item: int) -> int:
        """Returns the index of the source of an item.

        An epoch begins with a part of the next crop without labels, another one each time: rounded down in every epoch,
        a small share would give none in a short one.
        """
        share = self._unlabelled_share
        begun = Fraction(int(epoch * _GOLDEN % 1 * share.denominator), share.denominator)
        unlabelled_before = (begun + item * share) // 1
        if (begun + (item + 1) * share) // 1 > unlabelled_before:
            pool, item, stream = self._unlabelled, unlabelled_before, (2,)
        else:
            pool, item, stream = self._labelled, item - unlabelled_before, ()
        rounds, place = divmod(item, len(pool))
        return pool[
            int(np.random.default_rng((self._recipe.seed, epoch, rounds, *stream)).permutation(len(pool))[place])
        ]

    def _centre(self, case: PreparedCase, arrays: _Arrays, rng: np.random.Generator) -> tuple[int, ...]:
        """Draws the centre voxel of a crop: in an organ with probability ``positive``, else in other tissue."""
        present, label = case.present, 0
        if present and rng.random() < self._recipe.positive:
            sizes = np.array([1 if self._recipe.balance_classes else case.counts[label] for label in present])
            label = int(rng.choice(present, p=sizes / sizes.sum()))
        kept = case.centre_range(label)
        count = kept.stop - kept.start
        chosen = int(rng.integers(count or arrays.image.size))  # no tissue at all: any voxel
        flat = int(arrays.centres[kept.start + chosen]) if count else chosen
        return tuple(int(place) for place in np.unravel_index(flat, arrays.image.shape))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


@dataclass(frozen=True)
class _Window:
    """Position of a patch, per axis: its part inside the volume, and the place of this part inside the patch."""

    inside: tuple[slice, ...]
    filled: tuple[slice, ...]
    patch: tuple[int, ...]

    @classmethod
    def around(cls, centre: Sequence[int], shape: Sequence[int], patch: Sequence[int]) -> _Window:
        """Places a patch around a centre, moved inside the volume; a smaller volume is centred in the patch."""
        inside: list[slice] = []
        filled: list[slice] = []
        for middle, size, length in zip(centre, shape, patch, strict=True):
            if size <= length:
                before = (length - size) // 2
                inside.append(slice(0, size))
                filled.append(slice(before, before + size))
            else:
                start = min(max(middle - length // 2, 0), size - length)
                inside.append(slice(start, start + length))
                filled.append(slice(0, length))
        return cls(tuple(inside), tuple(filled), tuple(patch))

    @property
    def is_whole(self) -> bool:
        """Whether the patch lies completely inside the volume."""
        return all(part.stop - part.start == length for part, length in zip(self.filled, self.patch, strict=True))


@dataclass(frozen=True)
class _Cut:
    """Cuts a patch out of a volume, flips and rotates it."""

    window: _Window
    transform: FlipRotation

    def __call__(self, array: NDArray[Any], dtype: DTypeLike, outside: Sequence[float]) -> NDArray[Any]:
        """Returns the crop ``[C, D, H, W]`` of an array ``[C, D', H', W']``.

        Args:
            array: the whole volume.
            dtype: number format of the crop.
            outside: value per channel for the part of the patch outside the volume.
        """
        return self.place(array[(..., *self.window.inside)], dtype, outside)

    def place(self, inside: NDArray[Any], dtype: DTypeLike, outside: Sequence[float]) -> NDArray[Any]:
        """Returns the crop ``[C, D, H, W]``, given the part of the volume that lies in the window ``[C, d, h, w]``."""
        result = np.empty((len(inside), *(self.window.patch[axis] for axis in self.transform.axes)), dtype)
        if not self.window.is_whole:
            for channel, value in zip(result, outside, strict=True):
                channel.fill(value)
        self.transform.target(result)[(..., *self.window.filled)] = inside
        return result
