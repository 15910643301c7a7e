"""The golden patch: synthetic, so that the self-test on each machine needs no patient data.

A student that knows one organ alone may find nothing in a synthetic trunk, and a test on a window of nothing but
background passes with any weights. Then fields of random hills stand in, in which networks see organs here and there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..devices.measurement.synthetic import synthetic_scan
from ..runtime.bundles.golden_files import Golden
from ..runtime.engines import Engine
from ..runtime.labels.best_class import best_class
from ..runtime.labels.probabilities import softmax, to_levels
from ..runtime.preprocessing.preprocess import to_model_input
from ..runtime.scans.geometry import Grid
from ..runtime.scans.volume import Volume
from ..runtime.task import Task
from ..runtime.windows.plan import plan_windows
from .parity import Logits, student_logits, variant_logits

if TYPE_CHECKING:
    import torch

_CERTAIN = 0.9  # probability of a class from which on a voxel says little of a network's weights
_ENOUGH = 0.01  # share of uncertain voxels with which a patch is taken …
_FEWEST = 0.001  # … and below which a warning says that the self-test shows little
_HILLS = (8, 2)  # voxels, the standard deviation of the filters that make them
_INTENSITIES = ((0.5, 0.3), (0.0, 1.0))  # mean and standard deviation; tasks scale to 0…1, or to these by themselves
_log = logging.getLogger("bedside.export")


@dataclass(frozen=True, eq=False)
class GoldenPatch:
    """A patch and the student's logits for it, which every machine has to reproduce.

    Attributes:
        patch: [1, 1, D, H, W] float32, normalised.
        logits: the torch student's logits for it, [1, C, D, H, W] float32.
    """

    patch: NDArray[np.float32]
    logits: Logits

    @classmethod
    def from_student(cls, student: torch.nn.Module, task: Task) -> GoldenPatch:
        """Returns the first of some synthetic patches in which the student is uncertain of enough voxels.

        Where there is none, it is the patch with the most of them.

        Args:
            student: network in evaluation mode, on the CPU.
            task: the task it was trained for.

        Raises:
            UsageError: the student's logits are not finite.
            ResourceError: the synthetic scan does not fit into memory.
        """
        best, most = None, -1.0
        for patch in _candidates(task):
            tried = cls(patch, student_logits(student, patch))
            uncertain = float((softmax(tried.logits[0]).max(axis=0) < _CERTAIN).mean())
            if uncertain > most:
                best, most = tried, uncertain
            if most >= _ENOUGH:
                break
        if best is None:
            raise ValueError("no patch")
        if most < _FEWEST:
            _log.warning(
                "the student is certain of %.2f %% of the voxels of every synthetic patch: on other machines, the "
                "bundle's self-test will show little",
                100 * (1 - most),
            )
        return best

    def agreement(self, engine: Engine) -> float:
        """Returns the fraction of voxels to which a variant gives the student's label.

        Raises:
            NotFiniteError: the variant returns NaN or infinity.
        """
        return float((best_class(variant_logits(engine, self.patch)) == self.labels).mean())

    @property
    def labels(self) -> NDArray[np.unsignedinteger]:
        """The student's labels for the patch, [D, H, W] uint8 or uint16."""
        return best_class(self.logits[0])

    def save(self, folder: Path, names: Golden) -> None:
        """Writes the files of the self-test into a bundle's directory, under the names that its manifest has.

        Args:
            folder: the bundle's directory.
            names: paths in the bundle; labels are not written where they have none.
        """
        np.save(folder / names.input, self.patch.astype(np.float16))
        np.save(folder / names.output, to_levels(softmax(self.logits[0])))
        if names.labels is not None:
            np.save(folder / names.labels, self.labels)


def _candidates(task: Task) -> Iterator[NDArray[np.float32]]:
    """Yields patches like `golden_input`, and after it fields of hills, always the same for a task."""
    yield golden_input(task)
    for size in _HILLS:
        hills = _hills(task.patch.dhw, size)
        for mean, deviation in _INTENSITIES:
            yield (mean + deviation * hills)[None, None].astype(np.float16).astype(np.float32)


def _hills(shape: tuple[int, int, int], size: float) -> NDArray[np.float64]:
    """Returns smoothed noise ``[D, H, W]`` with a mean of 0 and a standard deviation of 1.

    Args:
        shape: (D, H, W).
        size: standard deviation of the Gaussian filter, in voxels.
    """
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(np.random.default_rng(0).standard_normal(shape), size, mode="wrap")
    return (smooth - smooth.mean()) / smooth.std()


def golden_input(task: Task) -> NDArray[np.float32]:
    """Returns the central window of the synthetic trunk, prepared like a scan and padded with air where it is smaller.

    Args:
        task: gives modality, spacing, intensities and patch; nothing else changes the result.

    Returns:
        [1, 1, D, H, W] float32, normalised, each value one that float16 has: a bundle stores it so.

    Raises:
        ResourceError: the synthetic scan does not fit into memory.
    """
    scan = synthetic_scan(task)
    prepared = to_model_input(Volume(scan, Grid(scan.shape, np.diag([*task.spacing, 1.0]))), task)
    plan = plan_windows(prepared.grid.shape.dhw, task.patch.dhw, overlap=0)
    front, top, left = ((whole - part) // 2 for whole, part in zip(plan.padded, plan.patch, strict=True))
    window = plan.pad(prepared.array, task.intensity.air)[plan.window((front, top, left))]
    return np.ascontiguousarray(window[None, None], dtype=np.float16).astype(np.float32)
