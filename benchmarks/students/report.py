"""Writes the table, the CSV and the picture of a comparison of students: Dice against milliseconds per window."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from math import prod
from pathlib import Path

import numpy as np
from bedside.benchmarks.shared.plan import load_plan
from bedside.benchmarks.shared.scores import case_means
from bedside.distill import STUDENTS
from bedside.distill.students.front import pareto_front
from bedside.runtime import Bundle
from plan import PRECISIONS, Plan, run_folders, scores_file

_SHOWN = 0.15  # Dice behind the best that the picture has room for
NO_VERDICT = "–"  # as `Variant.verdict` has it


@dataclass(frozen=True)
class Row:
    """One student in one precision on one engine.

    Attributes:
        student: name of the student.
        engine: name of the engine.
        precision: precision of the variant.
        parameters: number of the student's parameters.
        gflop: 10⁹ floating-point operations of one window.
        milliseconds: of one window of the task's patch; a student that needs a larger one has its share of that one.
        dice: mean over organs, test cases and seeds.
        spread: sample standard deviation of the Dice over the seeds; None with one seed.
        seeds: number of seeds.
        gate: the gate's verdict on the variant, "passed" or "failed"; a dash for torch, and where there was no gate.
    """

    student: str
    engine: str
    precision: str
    parameters: int
    gflop: float
    milliseconds: float
    dice: float
    spread: float | None
    seeds: int
    gate: str


def read_rows(out: Path) -> list[Row]:
    """Returns a row for each measured student, engine and precision that has a Dice, the fastest first.

    Variants in bfloat16 and uint8 have no Dice of their own and are left out.
    """
    plan = load_plan(out, Plan)
    file = out / "latency.json"
    latencies: dict[str, dict[str, float]] = json.loads(file.read_text()) if file.exists() else {}
    rows: list[Row] = []
    for student, variants in latencies.items():
        task = plan.task_of(student)
        cost = STUDENTS.find(student).cost(num_classes=task.num_classes, patch=task.patch.dhw)
        share = prod(plan.task.patch) / prod(task.patch)
        dice, verdicts = dice_of(out, student), verdicts_of(out, student)
        for variant, milliseconds in variants.items():
            engine, precision = variant.split()
            if dice.get(precision):
                means = dice[precision]
                spread = float(np.std(means, ddof=1)) if len(means) > 1 else None
                size, speed = (cost.parameters, share * cost.flops / 1e9), share * milliseconds
                gate = verdicts.get(variant, NO_VERDICT)
                rows.append(
                    Row(student, engine, precision, *size, speed, float(np.mean(means)), spread, len(means), gate)
                )
    return sorted(rows, key=lambda row: row.milliseconds)


def dice_of(out: Path, student: str) -> dict[str, list[float]]:
    """Returns precision → mean Dice of each seed."""
    found: dict[str, list[float]] = defaultdict(list)
    for folder in run_folders(out, student):
        for precision in PRECISIONS:
            scores = scores_file(folder, precision)
            if scores.exists():
                found[precision].append(float(case_means(scores).mean()))
    return found


def verdicts_of(out: Path, student: str) -> dict[str, str]:
    """Returns ``engine precision`` → the gate's verdict: "failed" if the variant failed in any seed's bundle."""
    found: dict[str, str] = {}
    for folder in run_folders(out, student):
        path = folder / "student.bedside"
        if path.exists():
            with Bundle.open(path) as bundle:
                for variant in bundle.manifest.variants:
                    if found.get(variant.name) != "failed":
                        found[variant.name] = variant.verdict
    return found


def front_of(rows: Sequence[Row]) -> list[Row]:
    """Returns the Pareto front of the variants that did not fail at the gate."""
    return pareto_front([row for row in rows if row.gate != "failed"])


def write_report(out: Path) -> None:
    """Writes ``tables.md``, ``results.csv`` and ``pareto.png``."""
    rows = read_rows(out)
    (out / "tables.md").write_text("\n".join([*_table(rows), ""]))
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(field.name for field in fields(Row))
        lines.writerows(astuple(row) for row in rows)
    _draw(out / "pareto.png", rows)


def _table(rows: Sequence[Row]) -> list[str]:
    front = front_of(rows)
    lines = ["| student | engine | precision | parameters | GFLOP | ms per window | Dice | seeds | gate | front |"]
    lines += ["| -- | -- | -- | -- | -- | -- | -- | -- | -- | -- |"]
    for row in rows:
        spread = "" if row.spread is None else f" ± {100 * row.spread:.2f}"
        lines.append(
            f"| {row.student} | {row.engine} | {row.precision} | {row.parameters:,} | {row.gflop:.2f} "
            f"| {row.milliseconds:.1f} | {100 * row.dice:.2f}{spread} | {row.seeds} | {row.gate} "
            f"| {'yes' if row in front else ''} |"
        )
    return lines


def _draw(file: Path, rows: Sequence[Row]) -> None:
    """Draws Dice over milliseconds, a colour for each student and a marker for each engine and precision.

    A student far behind the best is drawn hollow at the lower edge, so that the others can be told apart.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    colours = plt.get_cmap("tab20")
    kinds = list(dict.fromkeys((row.engine, row.precision) for row in rows))
    students = list(dict.fromkeys(row.student for row in rows))
    lowest = max((row.dice for row in rows), default=0) - _SHOWN
    for row in rows:
        marker = "osD^vP"[kinds.index((row.engine, row.precision)) % 6]
        filled = "full" if row.dice >= lowest else "none"
        place = (row.milliseconds, 100 * max(row.dice, lowest))
        axes.plot(*place, marker, color=colours(students.index(row.student) % 20), fillstyle=filled)
    front = front_of(rows)
    points = ([row.milliseconds for row in front], [100 * row.dice for row in front])
    axes.step(*points, where="post", color="0.4", linewidth=1, label="Pareto front")
    for number, (engine, precision) in enumerate(kinds):
        axes.plot([], [], "osD^vP"[number % 6], color="0.4", label=f"{engine} {precision}")
    for number, student in enumerate(students):
        best = max(row.dice for row in rows if row.student == student)
        label = student if best >= lowest else f"{student}: {100 * best:.1f}, at the edge"
        axes.plot([], [], "o", color=colours(number % 20), label=label)
    axes.set(xscale="log", xlabel="milliseconds per window", ylabel="Dice, test cases (%)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(file, dpi=100)
    plt.close(figure)
