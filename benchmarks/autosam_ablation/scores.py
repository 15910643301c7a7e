"""Reads the scores of an experiment's finished runs from their folders."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from networks import ROWS
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Finished:
    """The scores of one finished run.

    Attributes:
        row: a key of `ROWS`.
        seed: seed of weights and crops.
        cases: names of the test cases.
        organs: names of the organs.
        dice: [cases, organs]; NaN where a case lacks the organ.
        nsd: [cases, organs], likewise.
        curve: (steps done, mean validation Dice).
        steps: optimiser steps.
        seconds: seconds of training, validations included: CPU seconds, or on a GPU wall time.
        parameters: number of the network's parameters.
        trainable: number of those that are trained.
    """

    row: str
    seed: int
    cases: tuple[str, ...]
    organs: tuple[str, ...]
    dice: Array
    nsd: Array
    curve: tuple[tuple[int, float], ...]
    steps: int
    seconds: float
    parameters: int
    trainable: int

    @property
    def organ_dice(self) -> Array:
        """Mean over the cases that have the organ, [organs]."""
        return np.nanmean(self.dice, axis=0)

    @property
    def mean_dice(self) -> float:
        """Mean over organs."""
        return float(self.organ_dice.mean())

    @property
    def mean_nsd(self) -> float:
        """Mean over organs."""
        return float(np.nanmean(self.nsd, axis=0).mean())


def read_runs(out: Path) -> dict[str, list[Finished]]:
    """Returns the finished runs by row, in the rows' order, seeds ascending."""
    runs: dict[str, list[Finished]] = {name: [] for name in ROWS}
    for scores in sorted((out / "runs").glob("*/scores.csv")):
        run = _read(scores.parent)
        runs[run.row].append(run)
    return {name: sorted(of, key=lambda run: run.seed) for name, of in runs.items() if of}


def _read(folder: Path) -> Finished:
    row, seed = folder.name.rsplit("_", 1)
    with (folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    cases = tuple(dict.fromkeys(line["case"] for line in lines))
    organs = tuple(dict.fromkeys(line["organ"] for line in lines))
    tables = {kind: np.array([float(line[kind]) for line in lines]).reshape(len(cases), -1) for kind in ("dice", "nsd")}
    facts = json.loads((folder / "facts.json").read_text())
    with (folder / "run" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        epochs = list(csv.DictReader(file))
    per_epoch = facts["steps"] // len(epochs)
    curve = tuple((per_epoch * (int(e["epoch"]) + 1), float(e["dice"])) for e in epochs if e.get("dice"))
    return Finished(
        row,
        int(seed),
        cases,
        organs,
        tables["dice"],
        tables["nsd"],
        curve,
        facts["steps"],
        sum(float(line) for line in (folder / "seconds.txt").read_text().split()),
        facts["parameters"],
        facts["trainable"],
    )


def per_case(runs: list[Finished]) -> Array:
    """Returns each test case's mean Dice over its organs, averaged over the seeds, [cases]."""
    return np.mean([np.nanmean(run.dice, axis=1) for run in runs], axis=0)


def seeds_in_common(runs: dict[str, list[Finished]], names: tuple[str, ...]) -> list[int]:
    """Returns the seeds that all these rows have been trained with."""
    seeds: dict[str, set[int]] = defaultdict(set)
    for name in names:
        seeds[name] = {run.seed for run in runs.get(name, [])}
    return sorted(set.intersection(*seeds.values()))
