"""Preprocessed cases on disk: what the device would feed the network, ready to be cropped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import InputError
from ..runtime.files.atomic import atomic_directory, make_folder
from ..runtime.preprocessing.preprocess import labels_to_model_grid, to_model_input
from ..runtime.scans.nifti import read_labels, read_volume
from ..runtime.task import Task
from .dataset import Case, Dataset

_CENTRES_PER_CLASS = 20_000  # candidate crop centres kept of each class: enough variety, a megabyte per case


@dataclass(frozen=True)
class PreparedCase:
    """One case on the task's grid.

    Attributes:
        name: the case's name in the data set.
        folder: where its arrays lie.
        spacing: (x, y, z) in mm.
        counts: voxels of each label that occurs, on the task's grid.
        warnings: what is unusual about the scan, as the device would say it.
    """

    name: str
    folder: Path
    spacing: tuple[float, float, float]
    counts: dict[int, int]
    warnings: tuple[str, ...] = ()

    def image(self) -> NDArray[np.float32]:
        """Returns the normalised image ``[D, H, W]``, memory-mapped."""
        return np.load(self.folder / "image.npy", mmap_mode="r", allow_pickle=False)

    def labels(self) -> NDArray[np.uint8]:
        """Returns the label map ``[D, H, W]``, memory-mapped."""
        return np.load(self.folder / "labels.npy", mmap_mode="r", allow_pickle=False)

    def centres(self, label: int) -> NDArray[np.int32]:
        """Returns flat indices of voxels of a label (0: body outside every organ), as crop centres."""
        return np.load(self.folder / f"centres_{label}.npy", allow_pickle=False)

    @classmethod
    def open(cls, folder: Path) -> PreparedCase:
        """Opens a folder written by `prepare_case`.

        Raises:
            InputError: the folder is damaged.
        """
        try:
            facts = msgspec.json.decode((folder / "case.json").read_bytes(), type=_Facts)
        except (OSError, msgspec.DecodeError) as error:
            raise InputError(f'prepared case "{folder.name}" cannot be read ({error}); delete the folder') from None
        return cls(folder.name, folder, facts.spacing, facts.counts, facts.warnings)

    @property
    def present(self) -> tuple[int, ...]:
        """The labels above 0 that occur in the case."""
        return tuple(label for label in self.counts if label > 0)


class _Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``case.json`` says."""

    spacing: tuple[float, float, float]
    counts: dict[int, int]
    warnings: tuple[str, ...]


def check_labels(dataset: Dataset, task: Task) -> None:
    """Checks that data set and task mean the same by every label index.

    Raises:
        InputError: they differ; the message names the first difference.
    """
    if dataset.labels == task.labels:
        return
    for index in range(max(len(dataset.labels), len(task.labels))):
        ours = task.labels[index] if index < len(task.labels) else "nothing"
        theirs = dataset.labels[index] if index < len(dataset.labels) else "nothing"
        if ours != theirs:
            raise InputError(
                f'label {index} is "{theirs}" in data set "{dataset.name}" but "{ours}" in task "{task.name}"; '
                "choose the task that fits, or write one with the data set's labels"
            )


def prepare_case(case: Case, task: Task, folder: Path) -> PreparedCase:
    """Preprocesses one labelled case into a folder of arrays.

    Raises:
        InputError: the case cannot be used; the message names it and the reason.
    """
    if case.label is None:
        raise InputError(f'case "{case.name}": expected a label map, the data set lists none')
    try:
        volume = read_volume(case.image)
        truth = read_labels(case.label)
        if not volume.grid.coincides(truth.grid):
            apart = volume.grid.distance(truth.grid)
            raise InputError(f"image and label map lie on different grids, {apart:.3g} mm apart at a corner")
        model_input = to_model_input(volume, task)
        labels = labels_to_model_grid(truth, model_input.grid)
        highest = int(labels.max(initial=0))
        if highest >= task.num_classes:
            raise InputError(f"label {highest} is not in task {task.name} (0…{task.num_classes - 1})")
    except InputError as error:
        raise InputError(f'case "{case.name}": {error}') from None
    rng = np.random.default_rng(0)
    counts = {label: int(count) for label, count in enumerate(np.bincount(labels.ravel())) if count}
    with atomic_directory(folder) as temporary:
        np.save(temporary / "image.npy", model_input.array)
        np.save(temporary / "labels.npy", labels)
        body = model_input.body
        for label in {0, *counts}:
            chosen = (labels == label) & body if label == 0 else labels == label
            flat = np.flatnonzero(chosen).astype(np.int32)
            if flat.size > _CENTRES_PER_CLASS:
                flat = rng.choice(flat, _CENTRES_PER_CLASS, replace=False)
            np.save(temporary / f"centres_{label}.npy", flat)
        facts = _Facts(model_input.grid.spacing, counts, model_input.warnings)
        (temporary / "case.json").write_bytes(msgspec.json.encode(facts))
    return PreparedCase.open(folder)


def prepare_cases(
    cases: Sequence[Case], task: Task, folder: Path, progress: Callable[[int, int], None] | None = None
) -> list[PreparedCase]:
    """Preprocesses cases into ``folder``, one sub-folder each.

    Args:
        cases: labelled cases.
        task: grid and intensities.
        folder: created if needed; cases that are there already are taken as they are.
        progress: called with (done, total).

    Raises:
        InputError: at least one case cannot be used; every broken case is named with its reason.
        ResourceError: the folder cannot be written.
    """
    make_folder(folder)
    prepared: list[PreparedCase] = []
    broken: list[str] = []
    for done, case in enumerate(cases):
        there = folder / case.name
        try:
            prepared.append(PreparedCase.open(there) if there.exists() else prepare_case(case, task, there))
        except InputError as error:
            broken.append(str(error))
        if progress:
            progress(done + 1, len(cases))
    if broken:
        raise InputError(f"{len(broken)} of {len(cases)} cases cannot be used: {'; '.join(broken)}")
    return prepared


def data_hash(cases: Sequence[Case]) -> str:
    """Returns a SHA-256 over the bytes of the cases' images and labels, independent of where they lie.

    Raises:
        InputError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for case in sorted(cases, key=lambda case: case.name):
        for path in (case.image, case.label):
            if path is None:
                continue
            try:
                with path.open("rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
            except OSError as error:
                raise InputError(f'case "{case.name}": {path.name} cannot be read: {error.strerror}') from None
    return digest.hexdigest()
