"""The settings of an experiment, its data lists and its arms; kept in the folder's ``plan.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from bedside.runtime.task import Task
    from bedside.training.recipe import Recipe

_SPLIT_SEED = 123  # of the choice of the labelled cases: the first n of one order, so that few are part of many


@dataclass(frozen=True)
class Arm:
    """One way to train the student.

    Attributes:
        teachers: number of teachers; 0 trains on the labels alone.
        unlabelled: share of crops from scans without labels.
        lam: λ of the distillation loss.
        times: training seconds, as a multiple of the plan's.
    """

    teachers: int = 0
    unlabelled: float = 0.0
    lam: float = 1.0
    times: float = 1.0


ARMS: dict[str, Arm] = {
    "labels": Arm(),
    "labels-longer": Arm(times=2.0),
    "distilled": Arm(teachers=1, lam=0.5),
    "distilled-unlabelled": Arm(teachers=1, lam=0.5, unlabelled=0.5),
    "ensemble": Arm(teachers=3, lam=0.5),
    "ensemble-unlabelled": Arm(teachers=3, lam=0.5, unlabelled=0.5),
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that all runs of a folder share.

    Attributes:
        data: folder of the data set, with ``dataset.json`` and ``task.toml``.
        student: name of the student.
        teacher: name of the network that teaches: a student of this project, or a teacher family.
        seconds: CPU seconds of a student's training.
        teacher_seconds: CPU seconds of a teacher's training.
        imitation: imitation loss.
        batch: crops per step.
        lr: learning rate.
        positive: share of crops centred on an organ.
        steps_per_epoch: steps between two points of the learning curve.
        threads: CPU threads of a run.
    """

    data: str
    student: str
    teacher: str
    seconds: float
    teacher_seconds: float
    imitation: str
    batch: int
    lr: float
    positive: float
    steps_per_epoch: int
    threads: int

    @property
    def task(self) -> Task:
        """The data set's own task."""
        from bedside.runtime.task_presets import load_task

        return load_task(str(Path(self.data) / "task.toml"))

    def recipe(self, seed: int, steps: int, unlabelled: float) -> Recipe:
        """Returns the recipe of a run of about so many steps."""
        from bedside.training.recipe import Augmentation, Recipe

        epochs = max(2, round(steps / self.steps_per_epoch))
        return Recipe(
            epochs=epochs,
            steps_per_epoch=self.steps_per_epoch,
            batch=self.batch,
            lr=self.lr,
            warmup=1,
            positive=self.positive,
            balance_classes=True,
            unlabelled=unlabelled,
            validate_every=max(1, epochs // 5),
            pictures_every=0,
            seed=seed,
            augmentation=Augmentation(flip=0.1, rotate=0.1, scale=0.2, shift=0.2),
        )


def save_plan(plan: Plan, out: Path) -> None:
    """Writes the plan, or checks that the folder's own is the same: its finished runs are kept.

    Raises:
        SystemExit: the folder holds runs of another plan.
    """
    file = out / "plan.json"
    if file.exists() and msgspec.structs.replace(load_plan(out), threads=plan.threads) != plan:
        raise SystemExit(f'"{out}" holds runs with other settings (plan.json); choose another folder')
    out.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=1))


def load_plan(out: Path) -> Plan:
    return msgspec.json.decode((out / "plan.json").read_bytes(), type=Plan)


def write_list(plan: Plan, out: Path, labelled: int) -> Path:
    """Writes a list of the data set in which so many training cases have labels, and returns its path."""
    root = Path(plan.data).resolve()
    listed = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(listed["training"]))
    kept, left = order[:labelled], order[labelled:]

    def absolute(entry: dict[str, str]) -> dict[str, str]:
        return {key: str(root / value) for key, value in entry.items()}

    others = [listed["training"][index] for index in left]
    images = [entry if isinstance(entry, str) else entry["image"] for entry in (*listed.get("unlabeled", []), *others)]
    content = {
        "name": f"{listed['name']}-{labelled}",
        "training": [absolute(listed["training"][index]) for index in kept],
        "validation": [absolute(entry) for entry in listed["validation"]],
        "testing": [absolute(entry) for entry in listed["test"]],
        "unlabeled": [str(root / image) for image in images],
    }
    file = out / "lists" / f"{labelled}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content, indent=1))
    return file
