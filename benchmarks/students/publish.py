"""Writes Dice and milliseconds of a finished comparison into the package, where `bedside plan` and `distill` read them.

    python benchmarks/students/publish.py OUT [--processor NAME] [--into FILE]

OUT is the folder of `students.py`: its ``results.csv`` and ``plan.json`` are read, and the data set that they name.
An earlier comparison on the same data set is replaced.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
from bedside.benchmarks.shared.plan import load_plan
from bedside.devices.hardware.cpu import read_cpu
from bedside.distill.students.measured import (
    FILE,
    MeasuredDice,
    MeasuredTimes,
    StudentComparison,
    measured_students,
)
from bedside.runtime.engines import ENGINES
from plan import Plan

_HEADING = (
    "# Dice of the students after equal seconds of training, and milliseconds per window; written by "
    "benchmarks/students/publish.py from its results.csv.\n"
)


def read_results(results: Path) -> list[dict[str, str]]:
    """Returns the rows of a ``results.csv`` without the variants that failed at the gate: no device runs those."""
    with results.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["gate"] != "failed"]


def read_dice(results: Path) -> dict[str, dict[str, MeasuredDice]]:
    """Returns student → precision → Dice of a ``results.csv``, which repeats a Dice for each engine.

    Raises:
        SystemExit: two rows contradict each other.
    """
    found: dict[str, dict[str, MeasuredDice]] = {}
    for row in read_results(results):
        spread = round(float(row["spread"]), 4) if row["spread"] else None
        dice = MeasuredDice(mean=round(float(row["dice"]), 4), seeds=int(row["seeds"]), spread=spread)
        known = found.setdefault(row["student"], {}).setdefault(row["precision"], dice)
        if known != dice:
            raise SystemExit(f"{results}: {row['student']} {row['precision']} has two Dice: {known.mean}, {dice.mean}")
    return {student: dict(sorted(found[student].items())) for student in sorted(found)}


def read_milliseconds(results: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Returns student → engine → precision → milliseconds of a ``results.csv``, without torch, which no bundle has."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in sorted(read_results(results), key=lambda row: (row["student"], row["engine"], row["precision"])):
        if row["engine"] in ENGINES:
            engines = found.setdefault(row["student"], {})
            engines.setdefault(row["engine"], {})[row["precision"]] = round(float(row["milliseconds"]), 2)
    return found


def read_comparison(out: Path, processor: str) -> StudentComparison:
    """Returns the comparison of a folder; its day is that on which ``results.csv`` was written.

    Args:
        out: the folder.
        processor: name of the processor that the milliseconds were measured on.
    """
    from bedside.training.data.dataset import load_dataset

    plan, results = load_plan(out, Plan), out / "results.csv"
    task = plan.task
    return StudentComparison(
        data=task.name,
        modality=task.modality,
        date=datetime.fromtimestamp(results.stat().st_mtime, timezone.utc).date(),
        seconds=plan.seconds,
        patch=task.patch,
        test_cases=len(load_dataset(Path(plan.data), labels=task.labels).test),
        dice=read_dice(results),
        times=MeasuredTimes(processor=processor, threads=plan.threads, milliseconds=read_milliseconds(results)),
    )


def write_figures(file: Path, comparisons: Sequence[StudentComparison]) -> None:
    """Writes the file that `measured_students` reads."""
    import tomli_w

    file.write_text(_HEADING + tomli_w.dumps({"comparisons": [_plain(each) for each in comparisons]}), encoding="utf-8")


def _plain(comparison: StudentComparison) -> dict[str, Any]:
    """Returns a comparison as TOML has it: without the spreads that are None."""
    dice = {
        student: {
            precision: {key: value for key in ("mean", "seeds", "spread") if (value := getattr(each, key)) is not None}
            for precision, each in precisions.items()
        }
        for student, precisions in comparison.dice.items()
    }
    return {
        "data": comparison.data,
        "modality": comparison.modality.value,
        "date": comparison.date,
        "seconds": comparison.seconds,
        "patch": list(comparison.patch),
        "test_cases": comparison.test_cases,
        "dice": dice,
        "times": msgspec.structs.asdict(comparison.times),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--processor", default=read_cpu().model, help="that was measured on; default: this machine's")
    parser.add_argument("--into", type=Path, default=FILE, help="default: the package's own file")
    given = parser.parse_args()
    added = read_comparison(given.out, given.processor)
    kept = [each for each in measured_students(given.into) if each.data != added.data] if given.into.exists() else []
    write_figures(given.into, sorted([*kept, added], key=lambda each: each.data))
    print(f"{given.into}: {len(added.dice)} students on {added}")


if __name__ == "__main__":
    main()
