"""Writes the Dice of a finished comparison into the package, where `bedside plan` and `distill` read it.

    python benchmarks/students/publish.py OUT [--into FILE]

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

from bedside.benchmarks.shared.plan import load_plan
from bedside.distill.students.measured import FILE, MeasuredDice, StudentComparison, measured_students
from plan import Plan

_HEADING = (
    "# Dice of the students after equal seconds of training; written by benchmarks/students/publish.py from its "
    "results.csv.\n"
)


def read_dice(results: Path) -> dict[str, dict[str, MeasuredDice]]:
    """Returns student → precision → Dice of a ``results.csv``, which repeats a Dice for each engine.

    Raises:
        SystemExit: two rows contradict each other.
    """
    found: dict[str, dict[str, MeasuredDice]] = {}
    with results.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            spread = round(float(row["spread"]), 4) if row["spread"] else None
            dice = MeasuredDice(mean=round(float(row["dice"]), 4), seeds=int(row["seeds"]), spread=spread)
            known = found.setdefault(row["student"], {}).setdefault(row["precision"], dice)
            if known != dice:
                raise SystemExit(
                    f"{results}: {row['student']} {row['precision']} has two Dice: {known.mean}, {dice.mean}"
                )
    return {student: dict(sorted(found[student].items())) for student in sorted(found)}


def read_comparison(out: Path) -> StudentComparison:
    """Returns the comparison of a folder; its day is that on which ``results.csv`` was written."""
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
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--into", type=Path, default=FILE, help="default: the package's own file")
    given = parser.parse_args()
    added = read_comparison(given.out)
    kept = [each for each in measured_students(given.into) if each.data != added.data] if given.into.exists() else []
    write_figures(given.into, sorted([*kept, added], key=lambda each: each.data))
    print(f"{given.into}: {len(added.dice)} students on {added}")


if __name__ == "__main__":
    main()
