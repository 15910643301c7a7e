"""Scores one predicted label file against the true one, after bringing both onto the same axes."""

from __future__ import annotations

import filecmp
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import InputError, without_segment_options
from ...runtime.scans.geometry import Grid
from ...runtime.scans.nifti_file import NiftiFile
from ...runtime.scans.volume import Volume
from ..data.label_grid import distance_text, reoriented_like, same_place
from ..data.organ_masks import OrganMasks, read_truth, truth_files
from .metrics import CaseScores, evaluate_case
from .pairing import Pair


@dataclass(frozen=True)
class ScoredCase:
    """A case and its scores.

    Attributes:
        name: name of the case.
        scores: scores per class; without label names, for as many classes as this case has.
        reoriented: whether the prediction is stored with other axes than the true label map.
        ignored: share of ignored voxels, 0…1.
        identical: whether the predicted file is the true one, or has the same bytes.
    """

    name: str
    scores: CaseScores
    reoriented: bool
    ignored: float = 0.0
    identical: bool = False


def score_pair(pair: Pair, labels: Sequence[str] | None, tolerance_mm: float) -> ScoredCase:
    """Scores one pair.

    Args:
        pair: predicted and true label map.
        labels: index → name; None allows any label.
        tolerance_mm: tolerance of the NSD in mm.

    Raises:
        InputError: a file cannot be read, the grids differ, or a label has no name.
    """
    truth = _read(pair.truth, pair.name, "truth")
    prediction = _read(pair.prediction, pair.name, "prediction")
    reoriented = prediction.grid.axes != truth.grid.axes
    prediction = reoriented_like(prediction, truth.grid)
    _check_grids(prediction.grid, truth.grid, pair.name)
    ignored = None if pair.ignore is None else truth.data == pair.ignore
    scores = _scored(prediction, truth, labels, tolerance_mm, pair.name, ignored)
    share = 0.0 if ignored is None else float(ignored.mean())
    return ScoredCase(pair.name, scores, reoriented, share, _is_truth(pair, empty=not truth.data.any()))


def _is_truth(pair: Pair, *, empty: bool) -> bool:
    """Whether the prediction is the truth's own file, or a copy; two empty label maps of one program are alike."""
    if not isinstance(pair.truth, Path):
        return False
    return pair.prediction.samefile(pair.truth) or (not empty and filecmp.cmp(pair.prediction, pair.truth, False))


def _read(label: Path | OrganMasks, name: str, role: str) -> Volume:
    try:
        return read_truth(label)
    except InputError as error:
        for file in truth_files(label):
            volumes = _volumes(file)
            if volumes > 1:
                raise InputError(
                    f'case "{name}", {role}: expected one label per voxel, got {volumes} volumes in "{file.name}"; '
                    "if they are probabilities per class, save their argmax"
                ) from None
        raise InputError(f'case "{name}", {role}: {without_segment_options(str(error))}') from None


def _volumes(file: Path) -> int:
    """Returns the number of volumes in a file; 0 if it cannot be read."""
    try:
        return NiftiFile.open(file, volume=0).header.volumes
    except InputError:
        return 0


def _check_grids(prediction: Grid, truth: Grid, name: str) -> None:
    if prediction.shape != truth.shape:
        raise InputError(
            f'case "{name}": expected a prediction on the truth\'s grid {truth!r}, got {prediction!r}; '
            "write the prediction on the scan's own grid"
        )
    if not same_place(prediction, truth):
        raise InputError(
            f'case "{name}": prediction {prediction!r} and truth {truth!r} are {distance_text(prediction, truth)}; '
            "write the prediction on the scan's own grid"
        )


def _scored(
    prediction: Volume,
    truth: Volume,
    labels: Sequence[str] | None,
    tolerance_mm: float,
    name: str,
    ignored: NDArray[np.bool_] | None,
) -> CaseScores:
    compared: bool | NDArray[np.bool_] = True if ignored is None else ~ignored
    highest = {
        role: int(volume.data.max(where=compared, initial=0))
        for role, volume in (("truth", truth), ("prediction", prediction))
    }
    for role, label in highest.items():
        if labels is not None and label >= len(labels):
            raise InputError(
                f'case "{name}": label {label} of the {role} has no name; there are names for 0…{len(labels) - 1}. '
                "Give names for all labels (--labels, --task), or check that this is the label map"
                + (f"; if its voxels are to be ignored, add --ignore-label {label}" if role == "truth" else "")
            )
    classes = len(labels) if labels is not None else max(highest.values()) + 1
    grid = truth.grid
    spacing = grid.affine[:3, :3] if grid.is_sheared else grid.spacing
    return evaluate_case(prediction.data, truth.data, classes, spacing, tolerance_mm, ignored)
