"""Settings of an experiment that trains several networks on one data set; kept in the folder's ``plan.json``."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    from bedside.runtime.task import Task
    from bedside.training.recipe import Recipe


class TrainingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that all runs of a folder share.

    Attributes:
        data: folder of the data set, with ``dataset.json`` and ``task.toml``.
        patch: edges of the training crops along x, y, z, in voxels; None: the task's.
        batch: crops per step.
        lr: learning rate.
        positive: share of crops centred on an organ.
        loss: what labels teach, as `Recipe.loss` names it.
        steps_per_epoch: steps between two points of the learning curve.
        threads: CPU threads of a run.
        precision: number format of the trainings, as `Recipe.precision` names it.
    """

    data: str
    patch: tuple[int, int, int] | None
    batch: int
    lr: float
    positive: float
    loss: str
    steps_per_epoch: int
    threads: int
    precision: Literal["32-true", "bf16-mixed"] = "32-true"

    @property
    def task(self) -> Task:
        """The data set's own task, with the plan's patch."""
        from bedside.runtime.axes import XYZ
        from bedside.runtime.task_presets import load_task

        task = load_task(str(Path(self.data) / "task.toml"))
        return task if self.patch is None else task.replaced(patch=XYZ(*self.patch))

    @property
    def balanced(self) -> bool:
        """Whether the loss of the labels balances classes."""
        return self.recipe(seed=0, steps=1).balanced

    def autocast(self) -> AbstractContextManager[object]:
        """Returns the context in which forward pass and loss compute in the plan's precision on a CPU."""
        import torch

        return torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16-mixed")

    def recipe(
        self, seed: int, steps: int, unlabelled: float = 0.0, *, turns: bool = True, mirrored: bool = False
    ) -> Recipe:
        """Returns the recipe of a run of about so many steps.

        Args:
            seed: seed of the run.
            steps: number of steps.
            unlabelled: share of crops from scans without labels.
            turns: whether crops are flipped and rotated at random.
            mirrored: whether every other crop is mirrored left to right, and left and right labels exchanged.
        """
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
            loss=self.loss,
            class_offsets=True,
            precision=self.precision,
            unlabelled=unlabelled,
            validate_every=max(1, epochs // 5),
            pictures_every=0,
            seed=seed,
            augmentation=Augmentation(
                flip=0.1 * turns, rotate=0.1 * turns, scale=0.2, shift=0.2, mirror=0.5 * mirrored
            ),
        )


P = TypeVar("P", bound=TrainingPlan)


def experiment_parser(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser with the arguments of every experiment: folder, `TrainingPlan`, seeds, runs at a time."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for prepared cases, runs, tables")
    parser.add_argument("--data", type=Path, required=True, help="folder with dataset.json and task.toml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=1200, help="CPU seconds of a student's training")
    parser.add_argument("--patch", type=int, nargs=3, metavar=("X", "Y", "Z"), help="default: the task's")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--positive", type=float, default=0.7)
    parser.add_argument("--loss", default="balanced-dice-ce", help="what labels teach")
    parser.add_argument("--steps-per-epoch", type=int, default=20)
    parser.add_argument("--precision", choices=["32-true", "bf16-mixed"], default="32-true", help="of the trainings")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each run, and of latencies")
    return parser


def given_plan(given: argparse.Namespace, kind: type[P]) -> P:
    """Returns the plan that the arguments describe, saved in the folder ``given.out`` (see `save_plan`)."""
    settings = {name: getattr(given, name) for name in kind.__struct_fields__}
    plan = msgspec.convert({**settings, "data": str(given.data.resolve())}, kind)
    save_plan(plan, given.out)
    return plan


def save_plan(plan: TrainingPlan, out: Path) -> None:
    """Writes the plan, or checks that the folder's own is the same: its finished runs are kept.

    Raises:
        SystemExit: the folder holds runs of another plan.
    """
    file = out / "plan.json"
    if file.exists() and msgspec.structs.replace(load_plan(out, type(plan)), threads=plan.threads) != plan:
        raise SystemExit(f'"{out}" holds runs with other settings (plan.json); choose another folder')
    out.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=1))


def load_plan(out: Path, kind: type[P]) -> P:
    """Returns the folder's plan."""
    return msgspec.json.decode((out / "plan.json").read_bytes(), type=kind)
