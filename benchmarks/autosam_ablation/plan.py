"""The settings that all runs share (grid, data, recipe, devices), kept beside them as ``plan.json``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from bedside.runtime import Task
    from bedside.training.recipe import Recipe

TRAINING, VALIDATION, TEST = 24, 3, 6
"""Phantoms: 24 to train and 6 to test as in BTCV, and three more to choose the best epoch by."""


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of an experiment.

    Attributes:
        sam: SAM's image encoder in the teacher.
        checkpoint: SAM's weights, or "" for random ones.
        spacing: spacing in mm, x y z.
        patch: patch in voxels, x y z.
        epochs: epochs of every run with the full budget.
        steps_per_epoch: optimiser steps.
        batch: crops per step.
        lr: base learning rate.
        warmup: warm-up epochs.
        positive: share of crops centred on an organ.
        balance_classes: whether organ crops draw the organ first.
        validations: points of the learning curve.
        data_seed: seed of the phantoms.
        tolerance_mm: tolerance of the NSD in mm.
        device: "cpu" or "cuda".
        precision: Lightning Fabric's name of the number format.
        threads: CPU threads of each run.
    """

    sam: str
    checkpoint: str
    spacing: tuple[float, float, float]
    patch: tuple[int, int, int]
    epochs: int
    steps_per_epoch: int
    batch: int
    lr: float
    warmup: int
    positive: float
    balance_classes: bool
    validations: int
    data_seed: int
    tolerance_mm: float
    device: str
    precision: str
    threads: int

    @property
    def task(self) -> Task:
        """BTCV's 13 organs on this plan's grid."""
        from bedside.runtime.task_presets import load_task

        return load_task("btcv").replaced(spacing=self.spacing, patch=self.patch)

    def recipe(self, seed: int, epochs: int) -> Recipe:
        """Returns the recipe of a run; all that differs between runs is the seed and, at equal time, the epochs."""
        from bedside.training.recipe import AUGMENTATION, Recipe

        return msgspec.convert(
            {
                "epochs": epochs,
                "steps_per_epoch": self.steps_per_epoch,
                "batch": self.batch,
                "lr": self.lr,
                "warmup": min(self.warmup, epochs - 1),
                "positive": self.positive,
                "balance_classes": self.balance_classes,
                "validate_every": max(1, epochs // self.validations),
                "seed": seed,
                "precision": self.precision,
                "augmentation": AUGMENTATION["btcv"],
            },
            Recipe,
        )


def save_plan(plan: Plan, out: Path) -> None:
    """Writes the plan, or checks that the folder's own is the same: its finished runs are kept.

    Raises:
        SystemExit: the folder holds runs of another plan.
    """
    file = out / "plan.json"
    if file.exists():
        there = msgspec.json.decode(file.read_bytes(), type=Plan)
        # The number of threads may differ, so that runs can be resumed on another machine.
        if msgspec.structs.replace(there, threads=plan.threads) != plan:
            raise SystemExit(f'"{out}" holds runs with other settings (plan.json); choose another folder')
    out.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=1))


def load_plan(out: Path) -> Plan:
    return msgspec.json.decode((out / "plan.json").read_bytes(), type=Plan)


def make_phantoms(out: Path, seed: int) -> None:
    """Writes the data set, split 24 / 3 / 6; an existing one is kept."""
    from bedside.runtime.files.atomic import atomic_write
    from bedside.training.phantoms.phantom import write_phantoms

    if (out / "dataset.json").exists():
        return
    making = out.with_name(out.name + ".making")
    file = write_phantoms(making, TRAINING + VALIDATION + TEST, seed)
    listing = msgspec.json.decode(file.read_bytes())
    cases = [*listing["training"], *listing["validation"], *listing["test"]]
    held_out = TRAINING + VALIDATION
    listing |= {"training": cases[:TRAINING], "validation": cases[TRAINING:held_out], "test": cases[held_out:]}
    listing |= {"numTraining": TRAINING, "numTest": TEST}
    with atomic_write(file) as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(listing), indent=1))
    making.rename(out)
