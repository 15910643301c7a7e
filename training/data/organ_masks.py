"""Reads one binary mask per organ, as TotalSegmentator stores them, as one label map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import InputError
from ...runtime.scans.names import joined_names, stem
from ...runtime.scans.nifti import read_labels
from ...runtime.scans.volume import Volume


@dataclass(frozen=True)
class OrganMasks:
    """The masks of one scan.

    Attributes:
        files: mask files of label 1, label 2, and so on.
    """

    files: tuple[Path, ...]

    @staticmethod
    def choose(files: Sequence[Path], labels: Sequence[str]) -> OrganMasks:
        """Chooses the masks of a task's labels by their file names; ignores masks of other organs.

        Args:
            files: masks named after their organs, as in ``kidney_right.nii.gz``.
            labels: index → name, background first.

        Raises:
            InputError: a label has no mask, so that its organ may be absent or unmarked, or has two.
        """
        named: dict[str, list[Path]] = {}
        for file in files:
            named.setdefault(_plain(stem(file.name)), []).append(file)
        found = [named.get(_plain(label), []) for label in labels[1:]]
        missing = [label for label, masks in zip(labels[1:], found, strict=True) if not masks]
        if missing:
            raise InputError(
                f"expected one mask for each label, got none for {joined_names(missing)}; name the masks as the task "
                "names its labels, and give an empty mask to a scan that lacks the organ"
            )
        doubled = [masks[0].name for masks in found if len(masks) > 1]
        if doubled:
            raise InputError(f"expected one mask for each label, got two like {joined_names(doubled)}; remove one")
        return OrganMasks(tuple(masks[0] for masks in found))

    @property
    def name(self) -> str:
        """Name of the masks' folder, for messages."""
        return self.files[0].parent.name

    def read(self) -> Volume:
        """Combines the masks into one label map.

        Raises:
            InputError: a file is not a mask of one organ, the grids differ, or organs overlap.
            ResourceError: the label map does not fit into memory.
        """
        merged: Volume | None = None
        for label, file in enumerate(self.files, start=1):
            mask = read_labels(file)
            inside: NDArray[np.bool_] = mask.data != 0
            if inside.any() and (mask.data[inside] != mask.data.max()).any():
                raise InputError(
                    f'"{file.name}": expected the mask of one organ, got several labels up to {mask.data.max()}; '
                    "store one file for each organ, or one label map for the scan"
                )
            if merged is None:
                dtype = np.uint8 if len(self.files) <= np.iinfo(np.uint8).max else np.uint16
                merged = Volume(np.zeros(mask.data.shape, dtype, order="F"), mask.grid)
            if not merged.grid.coincides(mask.grid):
                raise InputError(
                    f'masks "{self.files[0].name}" and "{file.name}" are on different grids; '
                    "export them again on the image's grid"
                )
            both = merged.data[inside]
            if both.any():
                other = self.files[int(both.max()) - 1]
                raise InputError(
                    f'masks "{other.name}" and "{file.name}" share {np.count_nonzero(both)} voxels, and a voxel has '
                    "one label; correct one of them"
                )
            merged.data[inside] = label
        if merged is None:
            raise InputError("expected masks, got none")
        return merged


def read_truth(label: Path | OrganMasks) -> Volume:
    """Reads a case's label map, stored as one file or as one mask per organ.

    Raises:
        InputError: the label map cannot be used.
        ResourceError: the label map does not fit into memory.
    """
    return label.read() if isinstance(label, OrganMasks) else read_labels(label)


def truth_files(label: Path | OrganMasks | None) -> tuple[Path, ...]:
    """Returns the files of a case's label map."""
    if isinstance(label, OrganMasks):
        return label.files
    return () if label is None else (label,)


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")
