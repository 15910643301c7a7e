"""Settings of an experiment that trains several networks on one data set; kept in the folder's ``plan.json``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

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
    """

    data: str
    patch: tuple[int, int, int] | None
    batch: int
    lr: float
    positive: float
    loss: str
    steps_per_epoch: int
    threads: int

    @property
    def task(self) -> Task:
        """The data set's own task, with the plan's patch."""
        from bedside.runtime.axes import XYZ
        from bedside.runtime.task_presets import load_task

        task = load_task(str(Path(self.data) / "task.toml"))
        return task if self.patch is None else task.replaced(patch=XYZ(*self.patch))

    def recipe(self, seed: int, steps: int, unlabelled: float = 0.0) -> Recipe:
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
            loss=self.loss,
            unlabelled=unlabelled,
            validate_every=max(1, epochs // 5),
            pictures_every=0,
            seed=seed,
            augmentation=Augmentation(flip=0.1, rotate=0.1, scale=0.2, shift=0.2),
        )


P = TypeVar("P", bound=TrainingPlan)


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
