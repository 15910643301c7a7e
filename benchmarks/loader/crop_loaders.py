"""Loaders of training crops from the same prepared cases: bedside's, and MONAI's usual ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bedside.runtime.task import Task
from bedside.training.data.augment import build_augmentation
from bedside.training.data.crops import CropDataset, CropSource
from bedside.training.data.prepared_case import PreparedCase
from bedside.training.data.soft_labels import SoftLabels, write_soft_labels
from bedside.training.recipe import Augmentation, Recipe

Crop = Callable[[int], Any]
LOADERS = ("bedside", "monai-cache", "monai-cache-indices", "monai-persistent")


def write_teacher(case: PreparedCase, classes: int, folder: Path) -> SoftLabels:
    """Writes substitutes for teacher probabilities: 0.9 for the true class, 0.1 shared by the others.

    They are zero nowhere, which is the worst case for `SoftLabels`; the other loaders read ``<folder>.npy``, float16.
    """
    soft = folder / case.folder.name
    if not soft.exists():
        labels = np.asarray(case.labels())
        probabilities = np.stack([np.where(labels == label, 0.9, 0.1 / (classes - 1)) for label in range(classes)])
        np.save(peers_file(soft), probabilities.astype(np.float16))
        soft.mkdir()
        write_soft_labels(soft, probabilities)
    return SoftLabels.open(soft)


def peers_file(soft_labels: Path) -> Path:
    """Returns the file that the other loaders read in place of a folder of soft labels."""
    return soft_labels.with_name(f"{soft_labels.name}.npy")


def build(loader: str, sources: Sequence[CropSource], task: Task, augmentation: Augmentation, scratch: Path) -> Crop:
    """Returns a function number → crop, a mapping with ``image``, ``label`` and, with a teacher, ``teacher``.

    Args:
        loader: one of `LOADERS`.
        sources: prepared cases, with teacher probabilities or without.
        task: gives patch and orientation.
        augmentation: probabilities of the augmentations.
        scratch: folder for MONAI's data set on disk.
    """
    if loader == "bedside":
        crops = CropDataset(sources, task, Recipe(augmentation=augmentation))
        return lambda number: crops[0, number]
    from monai.data.dataset import CacheDataset, PersistentDataset

    keys = ["image", "label", *(["teacher"] if sources[0].soft_labels is not None else [])]
    steps = _once(keys, indices=loader == "monai-cache-indices") + _each_time(keys, task, augmentation, loader)
    cases = [_files(source, keys) for source in sources]
    if loader == "monai-persistent":
        dataset = PersistentDataset(cases, steps, cache_dir=scratch)
    else:
        dataset = CacheDataset(cases, steps, progress=False)
    return lambda number: dataset[number % len(cases)]


def _files(source: CropSource, keys: Sequence[str]) -> dict[str, str]:
    folder = source.case.folder
    files = {"image": folder / "image.npy", "label": folder / "labels.npy"}
    if source.soft_labels is not None:
        files["teacher"] = peers_file(source.soft_labels.folder)
    return {key: str(files[key]) for key in keys}


def _once(keys: Sequence[str], *, indices: bool) -> tuple[Any, ...]:
    """Returns MONAI's transforms of a whole case; MONAI caches their result."""
    from monai.transforms.io.dictionary import LoadImaged
    from monai.transforms.utility.dictionary import EnsureChannelFirstd, FgBgToIndicesd

    planes = [key for key in keys if key != "teacher"]
    steps: list[Any] = [
        LoadImaged(keys=planes, image_only=True),
        EnsureChannelFirstd(keys=planes, channel_dim="no_channel"),
    ]
    if "teacher" in keys:
        steps.append(LoadImaged(keys=["teacher"], image_only=True, dtype=np.float16))
        steps.append(EnsureChannelFirstd(keys=["teacher"], channel_dim=0))
    if indices:
        steps.append(FgBgToIndicesd(keys="label", image_key="image", image_threshold=0))
    return tuple(steps)


def _each_time(keys: Sequence[str], task: Task, augmentation: Augmentation, loader: str) -> tuple[Any, ...]:
    """Returns MONAI's transforms per crop: half of the crops on organs, and the same augmentation as bedside."""
    from monai.transforms.croppad.dictionary import RandCropByPosNegLabeld
    from monai.transforms.utility.dictionary import CastToTyped

    found = {"fg_indices_key": "label_fg_indices", "bg_indices_key": "label_bg_indices"}
    crop = RandCropByPosNegLabeld(
        keys=keys,
        label_key="label",
        spatial_size=task.patch.dhw,
        pos=1,
        neg=1,
        num_samples=1,
        image_key="image",
        image_threshold=0,
        **(found if loader == "monai-cache-indices" else {}),
    )
    cast = CastToTyped(keys=["image", "label"], dtype=[torch.float32, torch.int64])
    # With one sample the crop comes as a list of one, through which Compose goes by itself.
    return (crop, *build_augmentation(task, augmentation, keys).transforms, cast)
