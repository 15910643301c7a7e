"""Loads one case as a network will see it, with every reason why it cannot be used."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import InputError, without_segment_options
from ...runtime.preprocessing.plausibility import check_values
from ...runtime.preprocessing.preprocess import ModelInput, labels_to_model_grid, to_model_input
from ...runtime.scans.nifti import read_volume
from ...runtime.scans.nifti_file import NiftiFile
from ...runtime.scans.volume import Volume
from ...runtime.task import Task
from .dataset import Case
from .ignore_label import IGNORED
from .label_grid import on_image_grid
from .organ_masks import read_truth

_Result = TypeVar("_Result")
LabelMap = NDArray[np.uint8] | NDArray[np.uint16]

_SOURCE_BYTES = 8  # per voxel of the scan: values, labels, temporary arrays of comparisons
_TARGET_BYTES = 17  # per voxel on the task's grid: image, body, labels, masks, indices of a class


@dataclass
class LoadedCase:
    """A case in memory, or the reasons why it cannot be used.

    Attributes:
        problems: reasons why it cannot be used, one line each; empty if it can.
        scan: image as stored; None if it cannot be used.
        truth: label map on the image's grid, as stored if it lies elsewhere, with `IGNORED` in place of the ignore
            label; None if it has unknown labels.
        reoriented: whether the label map is stored along other axes than the image.
        model_input: normalised image on the task's grid; None without a task or if the image cannot be used.
        labels: label map ``[D, H, W]`` on the task's grid; None without a task or if there are problems.
    """

    problems: list[str] = field(default_factory=list)
    scan: Volume | None = None
    truth: Volume | None = None
    reoriented: bool = False
    model_input: ModelInput | None = None
    labels: LabelMap | None = None

    def attempt(self, step: Callable[[], _Result]) -> _Result | None:
        """Returns the result of a step; if the step raises `InputError`, records the reason and returns None."""
        try:
            return step()
        except InputError as error:
            self.problems.append(without_segment_options(str(error)))
            return None


def load_case(case: Case, num_classes: int, task: Task | None, *, needs_label: bool = True) -> LoadedCase:
    """Reads and preprocesses a case; collects every reason against it, not only the first.

    Args:
        case: case to read.
        num_classes: number of classes; labels must be below it.
        task: grid and intensities; None skips preprocessing.
        needs_label: whether a missing label map is a problem.

    Raises:
        ResourceError: the case does not fit into memory.
    """
    loaded = LoadedCase()
    scan = loaded.scan = loaded.attempt(lambda: _usable_scan(case.image))
    stored = loaded.attempt(lambda: known_labels(case, num_classes, needs_label))
    placed = None
    if scan is not None and stored is not None:
        placed = loaded.attempt(lambda: on_image_grid(stored, scan.grid))
        loaded.reoriented = placed is not None and stored.grid.axes != scan.grid.axes
    truth = loaded.truth = placed or stored
    if scan is None or task is None:
        return loaded
    model_input = loaded.model_input = loaded.attempt(lambda: to_model_input(scan, task))
    if truth is not None and model_input is not None and not loaded.problems:
        loaded.labels = loaded.attempt(lambda: labels_to_model_grid(truth, model_input.grid))
    return loaded


def memory_needed(case: Case, task: Task | None) -> int:
    """Estimates the bytes that `load_case` and writing its result need; 0 if the header cannot be used."""
    try:
        source = NiftiFile.open(case.image).header.grid
        target = source if task is None else task.grid_over(source)
    except InputError:
        return 0
    return math.prod(source.shape) * _SOURCE_BYTES + math.prod(target.shape) * _TARGET_BYTES


def _usable_scan(path: Path) -> Volume:
    scan = read_volume(path)
    check_values(float(scan.data.min()), float(scan.data.max()))
    return scan


def known_labels(case: Case, num_classes: int, needs_label: bool) -> Volume | None:
    """Reads a case's label map, with `IGNORED` in place of the ignore label; None where there is none.

    Raises:
        InputError: the label map cannot be used, holds labels from ``num_classes`` up, or is needed and missing.
        ResourceError: the label map does not fit into memory.
    """
    if case.label is None:
        if needs_label:
            raise InputError("expected a label map, the data set lists none")
        return None
    truth = read_truth(case.label)
    # Checked before resampling, which may remove a small structure with a wrong label.
    if int(truth.data.max()) < num_classes:
        return truth
    unknown = np.unique(truth.data[truth.data >= num_classes])
    unknown = unknown[unknown != case.ignore]
    if unknown.size:
        names = ", ".join(str(label) for label in unknown[:5]) + (", …" if unknown.size > 5 else "")
        left_out = ", or declare it as the ignore label if it marks voxels to leave out" if unknown.size == 1 else ""
        raise InputError(
            f'"{case.label.name}": expected labels 0…{num_classes - 1}, got {names}; '
            f"renumber the label map, or choose a task that has them{left_out}"
        )
    return Volume(np.where(truth.data == case.ignore, np.uint16(IGNORED), truth.data), truth.grid, truth.warnings)
