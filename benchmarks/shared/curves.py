"""Learning curves: validation Dice over seconds of training."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Curve:
    """What one kind of run learned, averaged over its seeds.

    Attributes:
        seconds: CPU seconds of training at each point, [points].
        dice: mean Dice over organs and validation cases, [points].
    """

    seconds: NDArray[np.float64]
    dice: NDArray[np.float64]


def read_curve(seeds: Sequence[Path], epoch_seconds: float) -> Curve | None:
    """Returns the curve of runs that differ by their seed; those that have not validated yet do not count.

    Args:
        seeds: their run directories.
        epoch_seconds: CPU seconds of training in an epoch.

    Returns:
        The curve at the points that all have; None without any.
    """
    found: list[dict[int, float]] = []
    for run in seeds:
        with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
            points = {int(row["epoch"]): float(row["dice"]) for row in csv.DictReader(file) if row.get("dice")}
        found += [points] if points else []
    epochs = sorted(set.intersection(*map(set, found))) if found else []
    if not epochs:
        return None
    dice = np.array([[points[epoch] for epoch in epochs] for points in found])
    return Curve(epoch_seconds * (1.0 + np.array(epochs, float)), dice.mean(0))


def draw_curves(file: Path, panels: Mapping[str, Mapping[str, Curve]]) -> None:
    """Draws panels of curves side by side.

    Args:
        file: PNG to write.
        panels: title → name of a curve → curve; without any, nothing is drawn.
    """
    if not panels:
        return
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, row = plt.subplots(
        1, len(panels), figsize=(1 + 4 * len(panels), 3.4), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, (title, curves) in zip(row[0], panels.items(), strict=True):
        for name, curve in curves.items():
            axes.plot(curve.seconds, 100 * curve.dice, marker="o", markersize=3, label=name)
        axes.set(title=title, xlabel="CPU seconds of training")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    row[0][0].set_ylabel("Dice, validation cases (%)")
    figure.savefig(file, dpi=75)
    plt.close(figure)
