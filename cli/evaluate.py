"""`bedside evaluate`: scores predicted label maps against the truth."""

from __future__ import annotations

import math
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.errors import InputError, UsageError
from .terminal.console import Console, JsonOption, QuietOption

if TYPE_CHECKING:
    from ..training.scores.evaluation import Evaluation
    from ..training.scores.pairing import Pair


class CaseList(str, Enum):
    """A data set's lists."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


def command(
    prediction: Annotated[Path, typer.Option("--prediction", "-p", help="A label map, or a folder of them.")],
    truth: Annotated[
        Path | None, typer.Option("--truth", "-t", help="The true label map, a folder of them, or a data set.")
    ] = None,
    dataset: Annotated[Path | None, typer.Option("--dataset", help="A data set that holds the truth.")] = None,
    cases: Annotated[CaseList, typer.Option("--list", help="Which cases of the data set.")] = CaseList.TEST,
    tolerance: Annotated[float, typer.Option("--tolerance", min=0.0, help="Tolerance of the NSD in mm.")] = 1.0,
    task: Annotated[str | None, typer.Option("--task", help="Preset or TOML file that names the labels.")] = None,
    labels: Annotated[str | None, typer.Option("--labels", help="Names of labels 1, 2, … with commas.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Also write every score to this file.")] = None,
    other: Annotated[
        Path | None, typer.Option("--compare", help="Another model's --csv: Wilcoxon's signed-rank test against it.")
    ] = None,
    common: Annotated[bool, typer.Option("--common", help="Compare only the cases that both have.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score label maps against the truth: Dice, normalised surface Dice (NSD) and HD95 per organ.

    Cases without an organ are left out of its means. A missed organ has Dice 0 and NSD 0; HD95 has no value there,
    and its mean says how many were missed.

    Example: bedside evaluate -p predicted/ -t data/dataset.json --csv student.csv --compare baseline.csv
    """
    console = Console(json=json, quiet=quiet)
    if not math.isfinite(tolerance):
        raise UsageError(f"evaluate: --tolerance is a number of mm, got {tolerance}")
    if common and other is None:
        raise UsageError("evaluate: --common goes with --compare")
    names = _label_names(task, labels)
    pairs, listed = _pairs(prediction, truth, dataset, cases.value, names)
    from ..training.scores.comparison import check_tolerance, compare
    from ..training.scores.evaluation import evaluate_pairs
    from ..training.scores.pairing import without_truth
    from ..training.scores.score_table import read_scores, table_of, write_scores
    from .evaluating.as_json import as_json
    from .evaluating.tables import comparison_tables, score_table

    baseline = read_scores(other) if other is not None else None
    if baseline is not None:
        check_tolerance(tolerance, baseline)  # refused before the work, not after it
    unused = without_truth(prediction, pairs) if prediction.is_dir() else []
    if unused:
        console.warn(f"{len(unused)} of the files in {prediction.name} belong to no case of the truth: left out")
    with console.progress("evaluate") as advance:
        evaluation = evaluate_pairs(pairs, names or listed, tolerance, advance)
    _say(console, evaluation)
    if csv_file is not None:
        write_scores(csv_file, evaluation)
    console.show(score_table(evaluation))  # before a comparison that may be refused
    comparison = compare(table_of(evaluation), baseline, common=common) if baseline else None
    if comparison is not None and other is not None:
        console.show(*comparison_tables(comparison, other.name))
    console.emit(as_json(evaluation, comparison))


def _label_names(task: str | None, labels: str | None) -> tuple[str, ...] | None:
    if task is not None and labels is not None:
        raise UsageError("evaluate: --task and --labels both name the labels; give one")
    if labels is not None:
        names = tuple(name.strip() for name in labels.split(","))
        if len(set(names)) < len(names) or "" in names:
            raise UsageError(f"evaluate: --labels takes each name once, with commas between them, got {labels!r}")
        return ("background", *names)
    if task is None:
        return None
    from ..runtime.task import load_task

    return load_task(task).labels


def _pairs(
    prediction: Path, truth: Path | None, dataset: Path | None, cases: str, names: tuple[str, ...] | None
) -> tuple[list[Pair], tuple[str, ...] | None]:
    """Returns what to compare, and the data set's label names if there is a data set."""
    if truth is not None and dataset is not None:
        raise UsageError("evaluate: -t and --dataset both give the truth; choose one")
    if not prediction.exists():
        raise InputError(f'evaluate: prediction "{prediction}" does not exist')
    if _is_dataset(prediction):
        raise UsageError(f'evaluate: "{prediction.name}" is a data set; -p takes the predictions, -t the truth')
    from ..training.scores.pairing import Pair, pairs_of_cases, pairs_of_folders

    if truth is not None and _is_dataset(truth):
        dataset = truth
    if dataset is not None:
        from ..training.data.dataset import load_dataset

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
    return [Pair(prediction.name, prediction, truth)], None


def _is_dataset(path: Path) -> bool:
    return (path / "dataset.json").is_file() if path.is_dir() else path.name.endswith(".json") and path.is_file()


def _say(console: Console, evaluation: Evaluation) -> None:
    """What a reader of the scores should know about how they came about."""
    turned, count = len(evaluation.turned), len(evaluation.cases)
    if turned:
        console.info(f"{turned} of {count} predictions are stored along other axes than the truth: compared in place")
    if not any(organ.cases for organ in evaluation.organs):
        console.warn("the truth holds no organ in any case, so there are no scores; is it the label map?")
