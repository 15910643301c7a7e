"""The result of a segmentation: the label map, volumes, timings and warnings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .labels.postprocess import Removal
from .scans.geometry import Grid
from .scans.nifti import write_volume


@dataclass(frozen=True, eq=False)
class Result:
    """A label map with its volumes, timings and warnings.

    Attributes:
        labels: [X, Y, Z] uint8 or uint16 label indices on the scan's own grid.
        grid: the scan's own grid.
        volumes_ml: label name → millilitres, for every label but background.
        timings: stage → milliseconds: read, preprocess, plan, locate, infer, blend, restore.
        warnings: reasons for a person to review the result, one line each; empty where there are none.
        engine: name of the engine that ran.
        precision: precision of the variant that ran.
        windows: number of windows that the network ran on.
        windows_skipped: number of windows left out because they hold no body.
        postprocessing: what each step of post-processing removed from each label; empty where no step ran.
        windows_without_organ: number of windows left out because the bundle's locator found no organ there.
        windows_not_finite: number of windows that the network ran on and that were left out because it returned NaN or
            infinity.
        device: name of the device that the engine ran on: ``"CPU"``, ``"GPU"``, ``"CUDA"``, …; empty where it is not
            known, as in a result that an earlier version pickled.
        short_of_memory: whether so little memory was free that scores waited in float16; with more, voxels where two
            classes are almost equal may have another label.
    """

    labels: NDArray[np.uint8] | NDArray[np.uint16]
    grid: Grid
    volumes_ml: Mapping[str, float]
    timings: Mapping[str, float]
    warnings: tuple[str, ...]
    engine: str
    precision: str
    windows: int
    windows_skipped: int
    postprocessing: tuple[Removal, ...] = ()
    windows_without_organ: int = 0
    windows_not_finite: int = 0
    device: str = ""
    short_of_memory: bool = False

    @property
    def affine(self) -> NDArray[np.float64]:
        """Voxel → RAS+ mm, 4×4."""
        return self.grid.affine

    @property
    def notes(self) -> tuple[str, ...]:
        """Information that needs no action, one line each."""
        notes: list[str] = []
        if self.grid.is_sheared:
            notes.append(
                f"the scan is sheared by {self.grid.shear_degrees:.3g}° (gantry tilt): the network saw it "
                "straightened, the labels are on the scan's own sheared grid"
            )
        if self.short_of_memory:
            notes.append(
                "memory was short, so that scores waited in float16: with more free, voxels where two classes are "
                "almost equal may have another label"
            )
        return tuple(notes)

    @property
    def needs_review(self) -> bool:
        """Whether a person must review the result before use: it is empty, or the input was repaired or is unusual."""
        return bool(self.warnings)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the label map as ``.nii`` or ``.nii.gz``: to a temporary file beside it, read back, then renamed.

        Raises:
            UsageError: ``path`` is not a path, or has another suffix.
            ResourceError: the file cannot be written.
        """
        write_volume(path, self.labels, self.grid, description="bedside label map")


def label_volumes(labels: NDArray[np.integer], names: tuple[str, ...], grid: Grid) -> dict[str, float]:
    """Returns the volume of each label but background, in millilitres.

    Args:
        labels: [X, Y, Z] label indices.
        names: label names, by index.
        grid: grid of the label map.
    """
    counts = np.zeros(len(names), np.int64)
    for plane in np.moveaxis(labels, -1, 0):  # plane by plane, because bincount needs eight bytes per voxel
        counts += np.bincount(plane.ravel(), minlength=len(names))
    return {name: int(count) * grid.voxel_ml for name, count in zip(names[1:], counts[1:], strict=True)}
