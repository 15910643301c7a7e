"""Draws patches of real scans, prepared as on a device: to calibrate int8 and to compare the variants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.preprocessing.preprocess import ModelInput, labels_to_model_grid, to_model_input
from ..runtime.scans.nifti import read_volume
from ..runtime.task import Task
from ..runtime.windows.plan import plan_windows
from .gate_cases import GateCase, gate_truth

Patches = list[NDArray[np.float32]]
Note = Callable[[Path, Sequence[str]], None]


def unnoted(image: Path, warnings: Sequence[str]) -> None:
    """Drops the warnings about a scan, for callers that ask for none."""


def sample_patches(
    images: Sequence[Path],
    task: Task,
    count: int,
    *,
    seed: int = 0,
    note: Note = unnoted,
) -> Patches:
    """Draws patches around body voxels, spread as evenly over the scans as their number allows.

    Args:
        images: paths of scans; if there are more scans than patches, an evenly spaced selection of the list.
        task: the task, for preprocessing and the size of the patch.
        count: number of patches.
        seed: random seed; the same scans and seed give the same patches.
        note: called with each scan that is read and the warnings about it.

    Returns:
        ``count`` arrays [1, 1, D, H, W] float32, normalised; scans smaller than the patch are padded with air.

    Raises:
        InputError: a scan is refused.
    """
    rng = np.random.default_rng(seed)
    chosen = [images[index] for index in np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int)]
    shares = [len(share) for share in np.array_split(np.arange(count), len(chosen))] if chosen else []
    patches: Patches = []
    for image, share in zip(chosen, shares, strict=True):
        cut = _Cut(_prepared(image, task, note), task)
        body = cut.voxels_of(None)
        patches += [cut.around(centre).image for centre in body[rng.integers(0, len(body), share)]]
    return patches


def noise_patches(task: Task, count: int) -> Patches:
    """Returns ``count`` patches of uniform noise over the normalised range, for an export without scans.

    Each is [1, 1, D, H, W] float32; every call returns the same.
    """
    rng = np.random.default_rng(0)
    low, high = task.intensity.normalised_range
    shape = (1, 1, *task.patch.dhw)
    return [rng.uniform(low, high, shape).astype(np.float32) for _ in range(count)]


@dataclass(frozen=True, eq=False)
class LabelledPatch:
    """A patch with its true labels.

    Attributes:
        image: [1, 1, D, H, W] float32, normalised.
        truth: label map [D, H, W]; None where there is none.
    """

    image: NDArray[np.float32]
    truth: NDArray[np.integer] | None = None


def organ_patches(
    cases: Sequence[GateCase], task: Task, count: int, *, seed: int = 0, note: Note = unnoted
) -> list[LabelledPatch]:
    """Draws labelled patches around voxels of organs; every patch is around the organ with the fewest so far.

    Args:
        cases: (image, label map on the same grid), at least one.
        task: the task, for preprocessing, labels and the size of the patch.
        count: number of patches, spread over the cases in their order.
        seed: random seed; the same cases and seed give the same patches.
        note: called with each scan that is read and the warnings about it.

    Raises:
        InputError: a scan or label map is refused.
    """
    rng = np.random.default_rng(seed)
    drawn = np.zeros(task.num_classes, int)
    patches: list[LabelledPatch] = []
    shares = np.array_split(np.arange(count), len(cases))
    for number, (case, share) in enumerate(zip(cases, shares, strict=True), start=1):
        if not share.size:
            break
        prepared = _prepared(case[0], task, note)
        truth = gate_truth(case, number, prepared.source)
        cut = _Cut(prepared, task, labels_to_model_grid(truth, prepared.grid))
        for _ in share:
            present = [organ for organ in range(1, task.num_classes) if organ in cut.labels_present]
            organ = min(present, key=lambda each: drawn[each], default=None)
            if organ is not None:
                drawn[organ] += 1
            patches.append(cut.around(rng.choice(cut.voxels_of(organ))))
    return patches


class _Cut:
    """A prepared scan, padded to at least a patch, from which patches are cut."""

    def __init__(self, prepared: ModelInput, task: Task, truth: NDArray[np.integer] | None = None) -> None:
        self._plan = plan_windows(prepared.grid.shape.dhw, task.patch.dhw, overlap=0)
        self._array = self._plan.pad(prepared.array, task.intensity.air)
        self._body = self._plan.pad(prepared.body, 0)
        self._truth = None if truth is None else self._plan.pad(truth, 0).astype(truth.dtype, copy=False)
        self.labels_present = frozenset[int]() if truth is None else frozenset(np.unique(truth).tolist())

    def voxels_of(self, organ: int | None) -> NDArray[np.integer]:
        """Returns the voxels [N, 3] of an organ; None for those of the body."""
        return np.argwhere(self._body if organ is None or self._truth is None else self._truth == organ)

    def around(self, centre: NDArray[np.integer]) -> LabelledPatch:
        """Returns the patch around a voxel, moved into the scan where it would reach beyond it."""
        last = np.subtract(self._plan.padded, self._plan.patch)
        z, y, x = np.clip(centre - np.asarray(self._plan.patch) // 2, 0, last).tolist()
        window = self._plan.window((z, y, x))
        image = np.ascontiguousarray(self._array[window][None, None], dtype=np.float32)
        return LabelledPatch(image, None if self._truth is None else self._truth[window])


def _prepared(image: Path, task: Task, note: Note) -> ModelInput:
    prepared = to_model_input(read_volume(image), task)
    note(image, prepared.warnings)
    return prepared
