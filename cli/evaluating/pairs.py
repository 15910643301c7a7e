"""What is to be compared, from the options that say where predictions, truth and the labels' names are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...runtime.errors import InputError, UsageError
from ...runtime.files.names import utf8_name

if TYPE_CHECKING:
    from ...training.scores.pairing import Pair


def label_names(task: str | None, labels: str | None) -> tuple[str, ...] | None:
    """Returns the names that --task or --labels give, the background first; None where neither is given.

    Raises:
        UsageError: both are given, or names that are none.
        InputError: a task file that is not valid.
    """
    if task is not None and labels is not None:
        raise UsageError("evaluate: --task and --labels both name the labels; give one")
    if labels is not None:
        names = tuple(name.strip() for name in labels.split(","))
        if len(set(names)) < len(names) or "" in names:
            raise UsageError(f"evaluate: --labels takes each name once, with commas between them, got {labels!r}")
        return ("background", *names)
    if task is None:
        return None
    from ...runtime.task import load_task

    return load_task(task).labels


def find_pairs(
    prediction: Path, truth: Path | None, dataset: Path | None, cases: str, names: tuple[str, ...] | None
) -> tuple[list[Pair], tuple[str, ...] | None]:
    """Returns what to compare, and the data set's label names if there is a data set.

    Args:
        prediction: a label map, or a folder of them.
        truth: the same, or a data set.
        dataset: a data set, instead of the truth.
        cases: list of the data set.
        names: labels that the data set must have, if given.

    Raises:
        UsageError: options that do not go together.
        InputError: something is not there, or has no counterpart.
    """
    if truth is not None and dataset is not None:
        raise UsageError("evaluate: -t and --dataset both give the truth; choose one")
    if not prediction.exists():
        raise InputError(f'evaluate: prediction "{prediction}" does not exist')
    if _is_dataset(prediction):
        raise UsageError(f'evaluate: "{prediction.name}" is a data set; -p takes the predictions, -t the truth')
    from ...training.scores.pairing import Pair, pairs_of_cases, pairs_of_folders

    if truth is not None and _is_dataset(truth):
        dataset = truth
    if dataset is not None:
        from ...training.data.dataset import load_dataset

        content = load_dataset(dataset, labels=names)
        if not prediction.is_dir():
            raise UsageError("evaluate: with a data set, -p is the folder with one prediction per case")
        lists = {"training": content.training, "validation": content.validation, "test": content.test}
        return pairs_of_cases(prediction, lists[cases]), content.labels
    if truth is None:
        raise UsageError("evaluate: give the truth either with -t or with --dataset")
    if not truth.exists():
        raise InputError(f'evaluate: truth "{truth}" does not exist')
    if prediction.is_dir() != truth.is_dir():
        raise UsageError("evaluate: -p and -t are either two files or two folders")
    if prediction.is_dir():
        return pairs_of_folders(prediction, truth), None
    return [Pair(utf8_name(prediction.name), prediction, truth)], None


def _is_dataset(path: Path) -> bool:
    return (path / "dataset.json").is_file() if path.is_dir() else path.name.endswith(".json") and path.is_file()
