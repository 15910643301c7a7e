"""Finds the pairs of prediction and truth to compare, and the names of labels, from the options."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import InputError, UsageError
from ...runtime.files.text import utf8_name
from ...runtime.scans.names import nifti_files, stem

if TYPE_CHECKING:
    from ...training.scores.pairing import Pair


def label_names(task: str | None, labels: str | None) -> tuple[str, ...] | None:
    """Returns the label names that --task or --labels give, background first; None if neither is given.

    Raises:
        UsageError: both are given, or a name is empty or repeated.
        InputError: the task file is not valid.
    """
    if task is not None and labels is not None:
        raise UsageError("evaluate: --task and --labels both name the labels; give one")
    if labels is not None:
        names = tuple(utf8_name(name.strip()) for name in labels.split(","))
        if len(set(names)) < len(names) or "" in names:
            raise UsageError(f"evaluate: --labels takes each name once, with commas between them, got {labels!r}")
        if any(name.lower() == "background" for name in names):
            raise UsageError('evaluate: --labels names the labels from 1 on: leave "background", label 0, out')
        return ("background", *names)
    if task is None:
        return None
    from ...runtime.task_presets import load_task

    return load_task(task).labels


@dataclass(frozen=True)
class Found:
    """The pairs to compare, and the names of their labels.

    Attributes:
        pairs: predictions with their truths.
        labels: label names, background first: the data set's, or else those given; None without any.
        list_name: the data set's list that was used because the test list has no label maps; else None.
    """

    pairs: list[Pair]
    labels: tuple[str, ...] | None = None
    list_name: str | None = None


def find_pairs(
    prediction: Path,
    truth: Path | None,
    dataset: Path | None,
    cases: str | None,
    names: tuple[str, ...] | None,
    ignore_label: int | None = None,
) -> Found:
    """Pairs predictions with their truths, and reads the label names of a data set.

    Args:
        prediction: a label map, or a folder of them.
        truth: a label map, a folder of them, or a data set.
        dataset: a data set, instead of the truth.
        cases: list of the data set: training, validation or test; None means the test list or, if that has no label
            map, the list whose cases are predicted.
        names: label names, background first; a data set with other names is refused. None if none are given.
        ignore_label: value in the truth of voxels left out of the scores; a data set may give its own.

    Raises:
        UsageError: the options exclude each other.
        InputError: a file does not exist, or has no counterpart, or the data set has other label names.
    """
    if truth is not None and dataset is not None:
        raise UsageError("evaluate: -t and --dataset both give the truth; choose one")
    if not prediction.exists():
        raise InputError(f'evaluate: prediction "{prediction}" does not exist')
    from ...training.data.formats.reading import is_dataset
    from ...training.scores.pairing import Pair, pairs_of_folders

    # Beside its predictions, nnU-Net puts the training's list, which may name cases of another folder.
    if is_dataset(prediction) and not (prediction.is_dir() and nifti_files(prediction)):
        raise UsageError(f'evaluate: "{prediction.name}" is a data set; -p takes the predictions, -t the truth')
    if truth is not None and is_dataset(truth):
        dataset = truth
    if dataset is not None:
        return _of_dataset(prediction, dataset, cases, names, ignore_label)
    if truth is None:
        raise UsageError("evaluate: give the truth either with -t or with --dataset")
    if cases is not None:
        raise UsageError("evaluate: --list goes with a data set; the truth here is label maps: leave it out")
    if not truth.exists():
        raise InputError(f'evaluate: truth "{truth}" does not exist')
    if prediction.is_dir() != truth.is_dir():
        raise UsageError("evaluate: -p and -t are either two files or two folders")
    if prediction.is_dir():
        return Found(_ignoring(pairs_of_folders(prediction, truth), ignore_label), names)
    # The truth names the case, as in folders: two models' predictions of one scan are the same case.
    return Found([Pair(utf8_name(stem(truth.name)), prediction, truth, ignore_label)], names)


def _ignoring(pairs: list[Pair], label: int | None) -> list[Pair]:
    if label is None:
        return pairs
    if not all(isinstance(pair.truth, Path) for pair in pairs):
        raise UsageError(
            "evaluate: --ignore-label goes with label maps; the truth here is one mask per organ: leave it out"
        )
    return [replace(pair, ignore=label) for pair in pairs]


def _of_dataset(
    prediction: Path, dataset: Path, cases: str | None, names: tuple[str, ...] | None, ignore_label: int | None
) -> Found:
    from ...training.data.dataset import load_dataset
    from ...training.data.prepare import check_label_names
    from ...training.scores.pairing import pairs_of_cases

    content = load_dataset(dataset, labels=names)
    if names is not None:
        advice = "leave the option out: the data set names its labels"
        check_label_names(content, names, "--labels or --task", advice)
    if not prediction.is_dir():
        raise UsageError("evaluate: with a data set, -p is the folder with one prediction per case")
    if ignore_label is not None and content.ignore not in (None, ignore_label):
        raise UsageError(
            f"evaluate: the data set ignores label {content.ignore}, --ignore-label {ignore_label}; leave it out"
        )
    lists = {"test": content.test, "training": content.training, "validation": content.validation}
    wanted = cases or "test"
    try:
        return Found(_ignoring(pairs_of_cases(prediction, lists[wanted]), ignore_label), content.labels)
    except InputError as error:
        fitting: dict[str, list[Pair]] = {}
        for name in lists.keys() - {wanted}:
            with suppress(InputError):  # those are not the cases that were predicted
                fitting[name] = pairs_of_cases(prediction, lists[name])
        if cases is None and len(fitting) == 1 and not any(case.label for case in content.test):
            ((name, pairs),) = fitting.items()
            return Found(_ignoring(pairs, ignore_label), content.labels, name)
        options = " or ".join(f"--list {name}" for name in sorted(fitting))
        raise InputError(f"{error}; the predictions fit {options}" if fitting else str(error)) from None
