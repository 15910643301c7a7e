"""Writes the tables of an experiment: mean Dice per arm, and the paired test against labels alone."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from bedside.benchmarks.shared.scores import case_means
from bedside.training.scores.signed_rank import signed_rank
from numpy.typing import NDArray
from plan import ARMS, ENSEMBLE

Scores = dict[int, NDArray[np.float64]]
"""Seed → mean Dice over the organs per test case, [cases]."""

_BASELINE = "labels"


def read_scores(out: Path) -> dict[int, dict[str, Scores]]:
    """Returns number of labelled cases → arm (or ``teacher``) → scores."""
    found: dict[int, dict[str, Scores]] = defaultdict(lambda: defaultdict(dict))
    for file in sorted((out / "runs").glob("*/scores.csv")):
        name, labelled, seed = file.parent.name.rsplit("_", 2)
        found[int(labelled)][name][int(seed)] = case_means(file)
    return found


def write_report(out: Path) -> None:
    """Writes ``tables.md`` and ``results.csv``."""
    lines: list[str] = []
    rows: list[tuple[object, ...]] = []
    for labelled, arms in sorted(read_scores(out).items()):
        lines += [f"### {labelled} labelled cases", "", "| arm | seeds | Dice | against labels alone | p |"]
        lines += ["| -- | -- | -- | -- | -- |"]
        base = arms.get(_BASELINE, {})
        for name in ("teacher", ENSEMBLE, *ARMS, "nnunet"):
            scores = arms.get(name)
            if not scores:
                continue
            means = [100 * float(cases.mean()) for cases in scores.values()]
            rows += [(labelled, name, seed, f"{cases.mean():.4f}") for seed, cases in scores.items()]
            gain = p = "–"
            if name != _BASELINE and base:
                # Each patient once: the mean over the seeds of either arm.
                difference = np.mean([*scores.values()], axis=0) - np.mean([*base.values()], axis=0)
                gain, p = f"{100 * difference.mean():+.2f}", f"{signed_rank(difference).p:.2g}"
            spread = f" ± {np.std(means, ddof=1):.2f}" if len(means) > 1 else ""
            lines.append(f"| {name} | {len(means)} | {np.mean(means):.2f}{spread} | {gain} | {p} |")
        lines.append("")
    (out / "tables.md").write_text("\n".join(lines))
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("labelled", "arm", "seed", "dice"), *rows])
