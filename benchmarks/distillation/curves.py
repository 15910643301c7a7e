"""The learning curves of an experiment's arms: validation Dice over seconds of training."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bedside.benchmarks.shared.plan import load_plan
from numpy.typing import NDArray
from plan import ARMS, Plan


@dataclass(frozen=True)
class Curve:
    """What an arm learned, averaged over its seeds.

    Attributes:
        seconds: CPU seconds of training at each point, [points].
        dice: mean Dice over organs and validation cases, [points].
    """

    seconds: NDArray[np.float64]
    dice: NDArray[np.float64]


def read_curves(out: Path) -> dict[int, dict[str, Curve]]:
    """Returns number of labelled cases → arm → curve, of the arms that have validated, in the order of `ARMS`."""
    plan, steps = load_plan(out, Plan), json.loads((out / "steps.json").read_text())
    found: dict[int, dict[str, list[dict[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted((out / "runs").glob("*/run/metrics.csv")):
        name, labelled, _ = file.parents[1].name.rsplit("_", 2)
        if name in ARMS:
            with file.open(newline="", encoding="utf-8") as opened:
                rows = [row for row in csv.DictReader(opened) if row.get("dice")]
            if rows:  # a run that has just begun has not validated yet
                found[int(labelled)][name].append({int(row["epoch"]): float(row["dice"]) for row in rows})

    def curve(name: str, seeds: list[dict[int, float]]) -> Curve:
        epochs = sorted(set.intersection(*map(set, seeds)))
        step = ARMS[name].times * plan.seconds / steps[name]
        dice = np.array([[seed[epoch] for epoch in epochs] for seed in seeds])
        return Curve(step * plan.steps_per_epoch * (1.0 + np.array(epochs, float)), dice.mean(0))

    return {
        labelled: {name: curve(name, arms[name]) for name in ARMS if name in arms}
        for labelled, arms in sorted(found.items())
    }


def draw_curves(out: Path) -> None:
    """Writes ``curves.png``, a panel for each number of labelled cases; nothing before a run has validated."""
    panels = read_curves(out)
    if not panels:
        return
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, row = plt.subplots(
        1, len(panels), figsize=(1 + 4 * len(panels), 3.4), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, (labelled, curves) in zip(row[0], panels.items(), strict=True):
        for name, curve in curves.items():
            axes.plot(curve.seconds, 100 * curve.dice, marker="o", markersize=3, label=name)
        axes.set(title=f"{labelled} labelled cases", xlabel="CPU seconds of training")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    row[0][0].set_ylabel("Dice, validation cases (%)")
    figure.savefig(out / "curves.png", dpi=75)
    plt.close(figure)
