"""Tables, a CSV of all scores and the picture of the learning curves, of the runs that are finished.

Written again without any run by ``python benchmarks/autosam_ablation/report.py OUT``.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from networks import ABLATION, ROWS, WHOLE
from plan import load_plan
from scores import Finished, per_case, read_runs, seeds_in_common

Runs = dict[str, list[Finished]]


def write_report(out: Path) -> None:
    """Writes ``tables.md``, ``results.csv`` and ``curves.png``; nothing before the first run is finished."""
    runs = read_runs(out)
    if not runs:
        return
    cost = json.loads((out / "step_seconds.json").read_text())
    (out / "tables.md").write_text("\n".join(_tables(runs, cost, load_plan(out).tolerance_mm)) + "\n", encoding="utf-8")
    _write_csv(out / "results.csv", runs)
    _draw(out / "curves.png", runs, cost)


def _tables(runs: Runs, cost: dict[str, float], tolerance: float) -> Iterator[str]:
    yield f"| | seeds | parameters (trainable) | steps | s per step | Dice | NSD, {tolerance:g} mm | p | paper's Dice |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, of in runs.items():
        size = f"{of[0].parameters:,} ({of[0].trainable:,})"
        dice, nsd = _spread([run.mean_dice for run in of]), _spread([run.mean_nsd for run in of])
        paper = f"{ROWS[name].paper_dice:.2f}" if ROWS[name].paper_dice else "–"
        yield (
            f"| {ROWS[name].title} | {len(of)} | {size} | {of[0].steps} | {cost[name]:.2f} "
            f"| {dice} | {nsd} | {_p_value(runs, name)} | {paper} |"
        )
    yield ""
    yield "| Dice | " + " | ".join(ROWS[name].title for name in runs) + " |"
    yield "|---" * (len(runs) + 1) + "|"
    first = next(iter(runs.values()))[0]
    for index, organ in enumerate(first.organs):
        means = (float(np.mean([run.organ_dice[index] for run in of])) for of in runs.values())
        yield f"| {organ.replace('_', ' ')} | " + " | ".join(f"{100 * mean:.1f}" for mean in means) + " |"
    yield ""
    yield from _order(runs)


def _spread(values: list[float]) -> str:
    """Mean ± sample standard deviation over seeds, in percent."""
    mean = f"{100 * np.mean(values):.2f}"
    return f"{mean} ± {100 * np.std(values, ddof=1):.2f}" if len(values) > 1 else mean


def _p_value(runs: Runs, name: str) -> str:
    """Wilcoxon signed-rank against the whole teacher: paired over test cases, each averaged over the common seeds."""
    from scipy.stats import wilcoxon

    if name == WHOLE or WHOLE not in runs:
        return "–"
    seeds = seeds_in_common(runs, (WHOLE, name))
    if not seeds:
        return "–"
    ours, theirs = (per_case([run for run in runs[row] if run.seed in seeds]) for row in (WHOLE, name))
    return f"{wilcoxon(ours, theirs).pvalue:.3f}"


def _order(runs: Runs) -> Iterator[str]:
    """Describes the order of the ablation's rows by score, seed by seed."""
    titles = [ROWS[name].title for name in ABLATION]
    yield f"Order in the paper: {' > '.join(titles)}."
    for seed in seeds_in_common(runs, ABLATION):
        scores = {name: next(run.mean_dice for run in runs[name] if run.seed == seed) for name in ABLATION}
        ranked = sorted(scores, key=lambda name: -scores[name])
        shown = " > ".join(f"{ROWS[name].title} {100 * scores[name]:.2f}" for name in ranked)
        yield f"Seed {seed}: {shown}."


def _write_csv(file: Path, runs: Runs) -> None:
    """One line per run and test case: Dice per organ, empty where the case lacks the organ."""
    first = next(iter(runs.values()))[0]
    with file.open("w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(("row", "seed", "case", "mean_dice", "mean_nsd", *first.organs))
        for run in (run for of in runs.values() for run in of):
            for case, dice, nsd in zip(run.cases, run.dice, run.nsd, strict=True):
                organs = ("" if np.isnan(value) else f"{value:.4f}" for value in dice)
                lines.writerow((run.row, run.seed, case, f"{np.nanmean(dice):.4f}", f"{np.nanmean(nsd):.4f}", *organs))


def _draw(file: Path, runs: Runs, cost: dict[str, float]) -> None:
    """Mean validation Dice by step for the ablation, and by seconds of training for teacher and SwinUNETR."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    for name, of in runs.items():
        length = min(len(run.curve) for run in of)
        points = np.array([run.curve[:length] for run in of])
        steps, dice = points[0, :, 0], points[:, :, 1]
        if name in ABLATION:
            line = left.plot(steps, dice.mean(0), marker="o", markersize=3, label=ROWS[name].title)[0]
            left.fill_between(steps, dice.min(0), dice.max(0), color=line.get_color(), alpha=0.15, linewidth=0)
        if name == WHOLE or name not in ABLATION:
            minutes = steps * cost[name] / 60
            line = right.plot(minutes, dice.mean(0), marker="o", markersize=3, label=ROWS[name].title)[0]
            right.fill_between(minutes, dice.min(0), dice.max(0), color=line.get_color(), alpha=0.15, linewidth=0)
    left.set(xlabel="optimiser steps", ylabel="mean Dice, validation phantoms", title="Ablation of the teacher")
    right.set(xlabel="minutes of training steps, one run", title="Teacher and SwinUNETR-48")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(fontsize=8)
    figure.savefig(file, dpi=75)
    plt.close(figure)


if __name__ == "__main__":
    write_report(Path(sys.argv[1]))
