"""Draws patches of real scans, prepared as on a device: to calibrate int8 and to compare the variants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.hooks import Progress
from ..runtime.preprocessing.preprocess import to_model_input
from ..runtime.scans.nifti import read_volume
from ..runtime.task import Task
from ..runtime.windows.plan import plan_windows

Patches = list[NDArray[np.float32]]


def sample_patches(
    images: Sequence[Path],
    task: Task,
    count: int,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Patches:
    """Draws patches around body voxels, spread as evenly over the scans as their number allows.

    Args:
        images: paths of scans; if there are more scans than patches, an evenly spaced selection of the list.
        task: the task, for preprocessing and the size of the patch.
        count: number of patches.
        seed: random seed; the same scans and seed give the same patches.
        progress: called after each scan with (scans done, scans in total).

    Returns:
        ``count`` arrays [1, 1, D, H, W] float32, normalised; scans smaller than the patch are padded with air.

    Raises:
        InputError: a scan is refused.
    """
    rng = np.random.default_rng(seed)
    chosen = [images[index] for index in np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int)]
    shares = [len(share) for share in np.array_split(np.arange(count), len(chosen))] if chosen else []
    patches: Patches = []
    for done, (image, share) in enumerate(zip(chosen, shares, strict=True), start=1):
        patches += _patches_of(image, task, share, rng)
        if progress is not None:
            progress(done, len(chosen))
    return patches


def noise_patches(task: Task, count: int, *, seed: int = 0) -> Patches:
    """Returns ``count`` patches of uniform noise over the normalised range, for an export without scans.

    Each is [1, 1, D, H, W] float32.
    """
    rng = np.random.default_rng(seed)
    low, high = task.intensity.normalised_range
    shape = (1, 1, *task.patch.dhw)
    return [rng.uniform(low, high, shape).astype(np.float32) for _ in range(count)]


def _patches_of(image: Path, task: Task, count: int, rng: np.random.Generator) -> Patches:
    prepared = to_model_input(read_volume(image), task)
    plan = plan_windows(prepared.grid.shape.dhw, task.patch.dhw, overlap=0)
    array = plan.pad(prepared.array, task.intensity.air)
    body = np.argwhere(plan.pad(prepared.body, 0))
    centres = body[rng.integers(0, len(body), count)]
    last = np.subtract(plan.padded, plan.patch)
    starts = np.clip(centres - np.asarray(plan.patch) // 2, 0, last)
    return [
        np.ascontiguousarray(array[plan.window((int(z), int(y), int(x)))][None, None], dtype=np.float32)
        for z, y, x in starts
    ]
