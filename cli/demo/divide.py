"""Divides a data set's labels: most for the teacher; a few, and many scans without labels, for the student."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.errors import InputError, UsageError
from ...runtime.files.atomic import atomic_write
from ...runtime.scans.names import stem
from ...runtime.task_presets import load_task
from ...training.data.dataset import Case, Dataset, load_dataset

_A_FIFTH = 5


@dataclass(frozen=True)
class UnseenScan:
    """A test scan.

    Attributes:
        name: name of the case.
        image: its link in the folder of unseen scans; label maps that the models predict have this name.
        label: its true label map.
    """

    name: str
    image: Path
    label: Path


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


def divide(dataset: Path, task: str, out: Path, labelled: int | None, seed: int) -> DividedData:
    """Writes the lists of teacher and student, and links to the test scans.

    The student's labelled cases are drawn by the seed, the teacher has the others: it never sees a label of the
    student's. Scans without labels are those that the data set lists as such; if it lists none, the teacher's. Without
    validation or labelled test cases, a fifth of the training cases each takes their place.

    Args:
        dataset: data set in any layout of `load_dataset`.
        task: preset or TOML file of its task, which names the labels where the data set does not.
        out: folder to write to.
        labelled: number of labelled cases of the student; None: a fifth of the training cases, at least one.
        seed: random seed of the division.

    Raises:
        InputError: the data set cannot be read, or has masks in place of label maps.
        UsageError: it has too few labelled cases, or there is no such task.
    """
    data = _with_held_out_cases(load_dataset(dataset, labels=load_task(task).labels), seed)
    count = max(len(data.training) // _A_FIFTH, 1) if labelled is None else labelled
    if not 1 <= count < len(data.training):
        raise UsageError(
            f'data set "{data.name}": expected labels for the student on 1 to {len(data.training) - 1} of its '
            f"{len(data.training)} training cases, so that the teacher has the others; got {count}; change --labelled"
        )
    order = np.random.default_rng(seed).permutation(len(data.training))
    chosen = sorted(data.training, key=lambda case: case.name)
    few, many = ([chosen[i] for i in sorted(part)] for part in (order[:count], order[count:]))
    unlabelled = data.unlabelled or tuple(replace(case, label=None) for case in many)
    lists = {"validation": _entries(data.validation), "test": _entries(data.test)}
    teacher, student = out / "teacher-cases.json", out / "student-cases.json"
    _write(teacher, data, {"training": _entries(many), **lists})
    _write(student, data, {"training": _entries(few), "unlabeled": _entries(unlabelled), **lists})
    unseen = out / "unseen"
    scans = _linked(data.test, unseen)
    return DividedData(teacher, student, len(many), count, len(unlabelled), unseen, scans)


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
        scans.append(UnseenScan(case.name, link, _label(case)))
    return tuple(scans)
