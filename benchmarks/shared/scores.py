"""Scores label maps of test cases with `bedside evaluate`, and reads the scores back."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from bedside.training.scores.signed_rank import signed_rank
from numpy.typing import NDArray

SeedScores = Mapping[int, NDArray[np.float64]]
"""Seed → mean over the organs per test case, [cases]."""


def evaluate_test_cases(predictions: Path, data: Path, task: Path, scores: Path) -> None:
    """Writes Dice per organ and case.

    Args:
        predictions: folder of label maps, named as the images.
        data: data list, or its folder.
        task: the task's TOML file.
        scores: CSV file to write.
    """
    command = [sys.executable, "-m", "bedside", "evaluate", "-p", predictions, "--dataset", data, "--list", "test"]
    command += ["--task", task, "-q", "--workers", "1", "--csv", scores]
    subprocess.run(command, check=True)


def case_means(scores: Path, column: str = "dice") -> NDArray[np.float64]:
    """Returns the mean of a score over the organs of each case, [cases], in the order of the cases' names.

    Args:
        scores: CSV file of `bedside evaluate`.
        column: its column; organs without a value do not count.
    """
    cases: dict[str, list[float]] = defaultdict(list)
    for case, value in _organs(scores, column):
        cases[case].append(value)
    return np.array([np.nanmean(values) for _, values in sorted(cases.items())])


def organ_distances(scores: Path, column: str = "hd95_mm") -> NDArray[np.float64]:
    """Returns the distances of all organs and cases that have one; infinite where an organ was missed or invented."""
    return np.array([value for _, value in _organs(scores, column)])


def _organs(scores: Path, column: str) -> Iterator[tuple[str, float]]:
    with scores.open(newline="", encoding="utf-8") as opened:
        for line in csv.DictReader(opened):
            if line["label"] and line[column]:  # a line without label is the case's mean
                yield line["case"], float(line[column])


def paired_gains(rows: Mapping[str, SeedScores], baseline: str) -> dict[str, tuple[float, float]]:
    """Returns row → (gain in mean score over the baseline's, p of Wilcoxon's signed-rank test), paired over patients.

    Each patient counts once: with the mean over the seeds that both rows have, for seeds may differ by more than rows
    do. A row without a seed of the baseline, which was not trained for each seed, is compared with the mean of all of
    them. Without the baseline there are none.

    Args:
        rows: name → scores.
        baseline: name of the row that the others are compared with.
    """
    base = rows.get(baseline)
    if not base:
        return {}
    gains: dict[str, tuple[float, float]] = {}
    for name, scores in rows.items():
        if name != baseline:
            shared = scores.keys() & base.keys()
            one, other = ([of[seed] for seed in sorted(shared or of)] for of in (scores, base))
            difference = np.mean(one, axis=0) - np.mean(other, axis=0)
            gains[name] = float(difference.mean()), signed_rank(difference).p
    return gains
