"""Divides a data set's labels: most for the teacher; a few, and many scans without labels, for the student."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import InputError, UsageError
from ...runtime.files.atomic import atomic_write
from ...runtime.scans.names import joined_names, label_map_name, stem
from ...runtime.task import Task
from ...training.data.dataset import Case, Dataset, load_dataset
from ...training.data.prepare import check_labels
from ...training.data.unlabelled import without_known

PREDICTIONS = "predictions"  # folder with one folder of label maps per model
_A_FIFTH = 5


@dataclass(frozen=True)
class UnseenScan:
    """A test scan.

    Attributes:
        name: name of the case.
        image: its link in the folder of unseen scans.
        label: its true label map.
        ignore: value in the true label map of voxels to leave out of the scores; None compares all voxels.
    """

    name: str
    image: Path
    label: Path
    ignore: int | None = None

    def prediction(self, out: Path, model: str) -> Path:
        """Returns the path of a model's label map in the demo's folder: the name that `bedside segment` gives it."""
        return out / PREDICTIONS / model / label_map_name(stem(self.image.name))

    def ignored(self, truth: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Returns the mask of the ignored voxels in the scan's true labels; None without an ignore label."""
        return None if self.ignore is None else truth == self.ignore


@dataclass(frozen=True)
class DividedData:
    """The two lists of the demo's story, and the scans that no training sees.

    Attributes:
        teacher: list of the teacher's cases.
        student: list of the student's cases, those with labels and those without.
        teacher_cases: number of labelled cases that the teacher learns from.
        labelled: number of labelled cases that the student learns from.
        unlabelled: number of its scans without labels.
        unseen: folder with links to the test scans.
        scans: the test scans, by name.
    """

    teacher: Path
    student: Path
    teacher_cases: int
    labelled: int
    unlabelled: int
    unseen: Path
    scans: tuple[UnseenScan, ...]


@dataclass(frozen=True)
class Division:
    """Who gets which cases; nothing is written yet.

    Attributes:
        data: the data set, with validation cases and labelled test cases.
        teacher: labelled cases that the teacher learns from.
        student: labelled cases that the student learns from.
        unlabelled: the student's scans without labels.
    """

    data: Dataset
    teacher: tuple[Case, ...]
    student: tuple[Case, ...]
    unlabelled: tuple[Case, ...]

    @property
    def labelled(self) -> tuple[Case, ...]:
        """All cases with labels, each once."""
        cases = (*self.data.training, *self.data.validation, *self.data.test)
        return tuple({case.name: case for case in cases}.values())

    def write(self, out: Path) -> DividedData:
        """Writes the lists of teacher and student, and links to the test scans.

        Args:
            out: folder to write to.

        Raises:
            ResourceError: the folder cannot be written.
        """
        held_out = {"validation": _entries(self.data.validation), "test": _entries(self.data.test)}
        unlabelled = {"unlabeled": _entries(self.unlabelled)}
        teacher, student, unseen = out / "teacher-cases.json", out / "student-cases.json", out / "unseen"
        _write(teacher, self.data, {"training": _entries(self.teacher), **held_out})
        _write(student, self.data, {"training": _entries(self.student), **unlabelled, **held_out})
        scans = _linked(self.data.test, unseen)
        numbers = len(self.teacher), len(self.student), len(self.unlabelled)
        return DividedData(teacher, student, *numbers, unseen, scans)


def divide(dataset: Path, task: Task, labelled: int | None, seed: int) -> Division:
    """Divides a data set among teacher, student and test.

    The student's labelled cases are drawn by the seed, the teacher has the others: it never sees a label of the
    student's. Scans without labels are those that the data set lists as such; if it lists none, the teacher's. Without
    validation or labelled test cases, a fifth of the training cases each takes their place.

    Args:
        dataset: data set in any layout of `load_dataset`.
        task: its task, which names the labels where the data set does not.
        labelled: number of labelled cases of the student; None: a fifth of the training cases, at least one.
        seed: random seed of the division.

    Raises:
        InputError: the data set cannot be read, its labels are not the task's, it has masks in place of label maps, or
            a test case is named like a hidden file or is in another list too.
        UsageError: it has too few labelled cases.
    """
    listed = without_known(load_dataset(dataset, labels=task.labels))
    check_labels(listed, task)
    data = _with_held_out_cases(listed, seed)
    count = max(len(data.training) // _A_FIFTH, 1) if labelled is None else labelled
    if not 1 <= count < len(data.training):
        raise UsageError(
            f'data set "{data.name}": expected labels for the student on 1 to {len(data.training) - 1} of its '
            f"{len(data.training)} training cases, so that the teacher has the others; got {count}; change --labelled"
        )
    order = np.random.default_rng(seed).permutation(len(data.training))
    chosen = sorted(data.training, key=lambda case: case.name)
    few, many = (tuple(chosen[i] for i in sorted(part)) for part in (order[:count], order[count:]))
    unlabelled = data.unlabelled or tuple(replace(case, label=None) for case in many)
    division = Division(data, many, few, unlabelled)
    _refuse_unusable(division)
    return division


def _refuse_unusable(division: Division) -> None:
    for case in division.labelled:
        _label(case)
    hidden = next((case for case in division.data.test if case.name.startswith(".")), None)
    if hidden is not None:
        raise InputError(
            f'test case "{hidden.name}": a name with a dot in front is that of a hidden file, which bedside segment '
            "leaves out; rename the scan"
        )
    others = (*division.teacher, *division.student, *division.unlabelled, *division.data.validation)
    images = {case.image.resolve() for case in others}
    seen = [case.name for case in division.data.test if case.image.resolve() in images]
    if seen:
        raise InputError(
            f"test cases that the data set also lists for training or validation: {joined_names(seen)}; the story is "
            "told on scans that no training has seen: take them out of one of the lists"
        )


def _with_held_out_cases(data: Dataset, seed: int) -> Dataset:
    """Returns the data set with validation and labelled test cases, taken from its training cases if it has none."""
    test = tuple(case for case in data.test if case.label is not None)
    if not test:
        divided = replace(data, validation=()).split(seed=seed)
        data, test = replace(divided, validation=data.validation), divided.validation
    return replace(data if data.validation else data.split(seed=seed), test=test)


def _entries(cases: Sequence[Case]) -> list[dict[str, str]]:
    return [
        {"image": str(case.image.resolve()), **({} if case.label is None else {"label": str(_label(case))})}
        for case in cases
    ]


def _label(case: Case) -> Path:
    if not isinstance(case.label, Path):
        raise InputError(
            f'case "{case.name}": expected one label map, got a mask for each organ; merge them for the demo'
        )
    return case.label.resolve()


def _write(path: Path, data: Dataset, lists: dict[str, list[dict[str, str]]]) -> None:
    labels = {name: value for value, name in enumerate(data.labels)}
    if data.ignore is not None:
        labels["ignore"] = data.ignore
    content: dict[str, Any] = {"name": data.name, "labels": labels, "channel_names": list(data.modality), **lists}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _linked(cases: Sequence[Case], folder: Path) -> tuple[UnseenScan, ...]:
    folder.mkdir()
    scans: list[UnseenScan] = []
    for case in sorted(cases, key=lambda case: case.name):
        ending = case.image.name.removeprefix(stem(case.image.name))
        link = folder / f"{case.name}{ending}"
        link.symlink_to(case.image.resolve())
        scans.append(UnseenScan(case.name, link, _label(case), case.ignore))
    return tuple(scans)
