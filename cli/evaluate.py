"""`bedside evaluate`: scores predicted label maps against the truth."""

from __future__ import annotations

import csv
import math
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..runtime.errors import InputError, UsageError
from .console import Console, JsonOption, QuietOption

if TYPE_CHECKING:
    from rich.table import Table

    from ..training.evaluation import Evaluation, Pair


class CaseList(str, Enum):
    """A data set's lists."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


def command(
    prediction: Annotated[Path, typer.Option("--prediction", "-p", help="A label map, or a folder of them.")],
    truth: Annotated[Path | None, typer.Option("--truth", "-t", help="The true label map, or a folder.")] = None,
    dataset: Annotated[Path | None, typer.Option("--dataset", help="A data set that holds the truth.")] = None,
    cases: Annotated[CaseList, typer.Option("--list", help="Which cases of --dataset.")] = CaseList.TEST,
    tolerance: Annotated[float, typer.Option("--tolerance", min=0.0, help="Tolerance of the NSD in mm.")] = 1.0,
    task: Annotated[str | None, typer.Option("--task", help="Preset or TOML file that names the labels.")] = None,
    labels: Annotated[str | None, typer.Option("--labels", help="Names of labels 1, 2, … with commas.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Also write every score to this file.")] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score label maps against the truth: Dice, normalised surface Dice (NSD) and HD95 per organ.

    Cases without an organ are left out of its means. A missed organ has Dice 0 and NSD 0; HD95 has no value there,
    and its mean says how many were missed.

    Example: bedside evaluate -p predicted.nii.gz -t labels.nii.gz --task btcv
    """
    console = Console(json=json, quiet=quiet)
    if not math.isfinite(tolerance):
        raise UsageError(f"evaluate: --tolerance is a number of mm, got {tolerance}")
    names = _label_names(task, labels)
    pairs, listed = _pairs(prediction, truth, dataset, cases.value, names)
    from ..training.evaluation import evaluate_pairs

    with console.progress("evaluate") as advance:
        evaluation = evaluate_pairs(pairs, names or listed, tolerance, advance)
    if csv_file is not None:
        _write_csv(csv_file, evaluation)
    console.show(_table(evaluation))
    console.emit(_as_json(evaluation))


def _label_names(task: str | None, labels: str | None) -> tuple[str, ...] | None:
    if task is not None and labels is not None:
        raise UsageError("evaluate: --task and --labels both name the labels; give one")
    if labels is not None:
        return ("background", *(name.strip() for name in labels.split(",")))
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
    from ..training.evaluation import Pair, pairs_of_cases, pairs_of_folders

    if dataset is not None:
        from ..training.dataset import load_dataset

        content = load_dataset(dataset, labels=names)
        if not prediction.is_dir():
            raise UsageError("evaluate: with --dataset, -p is the folder with one prediction per case")
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


def _shown(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else "–"


def _table(evaluation: Evaluation) -> Table:
    from rich.table import Table

    from ..training.metrics import finite_mean

    count, mm = len(evaluation.cases), f"{evaluation.tolerance_mm:g}"
    table = Table(title=f"{count} case{'s' if count != 1 else ''}, NSD at {mm} mm tolerance")
    table.add_column("organ", overflow="fold")
    for heading in ("Dice", "NSD", "HD95 mm", "cases", "missed", "extra"):
        table.add_column(heading, justify="right", no_wrap=True)  # a narrow terminal folds names, never cuts figures
    for organ in evaluation.organs:
        scores = _shown(organ.dice, 4), _shown(organ.nsd, 4), _shown(organ.hd95, 2)
        table.add_row(organ.name, *scores, str(organ.cases), str(organ.missed), str(organ.spurious))
    table.add_section()
    means = [finite_mean(values) for values in _columns(evaluation)]
    table.add_row("mean over organs", _shown(means[0], 4), _shown(means[1], 4), _shown(means[2], 2), "", "", "")
    return table


def _columns(evaluation: Evaluation) -> list[Any]:
    import numpy as np

    return [np.array([getattr(organ, kind) for organ in evaluation.organs]) for kind in ("dice", "nsd", "hd95")]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Scores for machines; null where there is none, `missed` where the organ is there and nothing was predicted."""
    from ..training.metrics import finite_mean

    means = [finite_mean(values) for values in _columns(evaluation)]
    return {
        "tolerance_mm": evaluation.tolerance_mm,
        "mean": {"dice": _number(means[0]), "nsd": _number(means[1]), "hd95_mm": _number(means[2])},
        "organs": {
            organ.name: {
                "dice": _number(organ.dice),
                "nsd": _number(organ.nsd),
                "hd95_mm": _number(organ.hd95),
                "cases": organ.cases,
                "missed": organ.missed,
                "spurious": organ.spurious,
            }
            for organ in evaluation.organs
        },
        "cases": [
            {
                "name": name,
                "scores": {
                    organ: {
                        "dice": _number(scores.dice[label]),
                        "nsd": _number(scores.nsd[label]),
                        "hd95_mm": _number(scores.hd95[label]),
                        "missed": math.isinf(scores.hd95[label]),
                    }
                    for label, organ in enumerate(evaluation.labels)
                    if label > 0
                },
            }
            for name, scores in evaluation.cases
        ],
    }


def _write_csv(file: Path, evaluation: Evaluation) -> None:
    from ..runtime.files.atomic import atomic_write

    with atomic_write(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(("case", "label", "organ", "dice", "nsd", "hd95_mm", "tolerance_mm"))
        for name, scores in evaluation.cases:
            for label, organ in enumerate(evaluation.labels):
                if label > 0:
                    values = scores.dice[label], scores.nsd[label], scores.hd95[label]
                    rows.writerow((name, label, organ, *(f"{value:.6g}" for value in values), scores.tolerance_mm))
