"""Scores label maps of test cases with `bedside evaluate`, and reads the scores back."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


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


def case_means(scores: Path) -> NDArray[np.float64]:
    """Returns the mean Dice over the organs of each case, [cases], in the order of the cases' names."""
    cases: dict[str, list[float]] = defaultdict(list)
    with scores.open(newline="", encoding="utf-8") as opened:
        for line in csv.DictReader(opened):
            if line["label"] and line["dice"]:  # a line without label is the case's mean
                cases[line["case"]].append(float(line["dice"]))
    return np.array([np.nanmean(values) for _, values in sorted(cases.items())])
