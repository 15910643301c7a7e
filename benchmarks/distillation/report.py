"""Writes the tables of an experiment: mean Dice per arm; paired tests against labels alone, Holm-corrected; curves."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from bedside.benchmarks.shared.curves import draw_curves
from bedside.benchmarks.shared.scores import SeedScores, case_means, paired_gains
from bedside.training.scores.signed_rank import holm
from curves import read_curves
from plan import ARMS, ENSEMBLE

_BASELINE = "labels"
_NO_SEED = -1


def read_scores(out: Path) -> dict[int, dict[str, SeedScores]]:
    """Returns number of labelled cases → arm (or ``teacher``) → scores."""
    found: dict[int, dict[str, SeedScores]] = defaultdict(lambda: defaultdict(dict))
    for file in sorted((out / "runs").glob("*/scores.csv")):
        name, labelled, seed = file.parent.name.rsplit("_", 2)
        found[int(labelled)][name][int(seed)] = case_means(file)
    return found


def write_report(out: Path) -> None:
    """Writes ``tables.md``, ``results.csv`` and ``curves.png``."""
    lines: list[str] = []
    rows: list[tuple[object, ...]] = []
    for labelled, arms in sorted(read_scores(out).items()):
        lines += [f"### {labelled} labelled cases", "", "| arm | seeds | Dice | against labels alone | p | Holm p |"]
        lines += ["| -- | -- | -- | -- | -- | -- |"]
        found = [name for name in ("teacher", ENSEMBLE, *ARMS, "nnunet") if arms.get(name)]
        # Teachers are not trained for each seed of the students.
        compared = {
            name: arms[name] if name in ARMS else {_NO_SEED: np.mean([*arms[name].values()], axis=0)} for name in found
        }
        gains = paired_gains(compared, _BASELINE)
        corrected = dict(zip(gains, holm([p for _, p in gains.values()]), strict=True))
        for name in found:
            scores = arms[name]
            means = [100 * float(cases.mean()) for cases in scores.values()]
            rows += [(labelled, name, seed, f"{cases.mean():.4f}") for seed, cases in scores.items()]
            against = "– | – | –"
            if name in gains:
                gain, p = gains[name]
                against = f"{100 * gain:+.2f} | {p:.2g} | {corrected[name]:.2g}"
            spread = f" ± {np.std(means, ddof=1):.2f}" if len(means) > 1 else ""
            lines.append(f"| {name} | {len(means)} | {np.mean(means):.2f}{spread} | {against} |")
        lines.append("")
    (out / "tables.md").write_text("\n".join(lines))
    draw_curves(out / "curves.png", {f"{count} labelled cases": arms for count, arms in read_curves(out).items()})
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("labelled", "arm", "seed", "dice"), *rows])
