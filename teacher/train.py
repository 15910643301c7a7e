"""Training a teacher on a data set, and opening a trained one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from ..runtime.errors import InputError
from ..runtime.task import Task
from ..training.checkpoint import load_weights
from ..training.crops import CropSource
from ..training.dataset import Dataset
from ..training.fit import FitProgress, FitResult, fit, make_fabric
from ..training.losses import segmentation_loss
from ..training.recipe import Recipe
from ..training.run import ModelConfig, Run
from ..training.session import open_session
from . import build_teacher


def train_teacher(
    dataset: Dataset,
    task: Task,
    out: Path,
    *,
    recipe: Recipe,
    name: str = "autosam",
    sam: str = "vit_b",
    checkpoint: Path | None = None,
    preset: str = "paper",
    device: str = "auto",
    workers: int = 0,
    resume: bool = False,
    preparing: Callable[[int, int], None] | None = None,
    progress: FitProgress | None = None,
) -> FitResult:
    """Trains a SAM-adapted teacher with Dice + cross-entropy and leaves a run directory.

    Args:
        dataset: labelled cases; its labels must be the task's.
        task: grid, intensities, patch.
        out: run directory.
        recipe: how to train.
        name: registered teacher.
        sam: SAM's image encoder: vit_b, vit_l, vit_h or vit_nano.
        checkpoint: SAM's weights for it; None starts from random weights.
        preset: "paper" or "released_code".
        device: "auto", "cpu" or "cuda".
        workers: processes that load crops.
        resume: go on with the run in ``out``.
        preparing: hears of preprocessing, (done, total).
        progress: hears of training.

    Raises:
        InputError: data set, checkpoint or a case was refused.
        UsageError: an unknown name, or ``out`` holds another run.
    """
    options: dict[str, str | int | float | bool] = {"sam": sam, "preset": preset}
    if checkpoint is not None:
        options["checkpoint"] = checkpoint.name
    config = ModelConfig(kind="teacher", name=name, options=options)
    fabric = make_fabric(device, recipe.precision)
    fabric.seed_everything(recipe.seed, verbose=False)
    model = build_teacher(
        name, num_classes=task.num_classes, sam=sam, checkpoint=checkpoint, preset=preset, patch=task.patch_dhw
    )
    session = open_session(dataset, task, out, model=config, recipe=recipe, resume=resume, progress=preparing)
    loss = segmentation_loss()

    def objective(logits: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return loss(logits, batch["label"])

    sources = [CropSource(case) for case in session.train]
    return fit(session.run, model, objective, sources, session.validation, fabric, workers=workers, progress=progress)


def load_teacher(path: Path) -> tuple[torch.nn.Module, Run]:
    """Opens a trained teacher from its run directory.

    Returns:
        The network in evaluation mode, logits ``[B, C, D, H, W]`` from ``[B, 1, D, H, W]``, and its run.

    Raises:
        InputError: the directory holds no trained teacher.
    """
    run = Run.open(path)
    if run.config.model.kind != "teacher":
        raise InputError(f'"{run.name}" is a {run.config.model.kind} run; expected a teacher')
    options = {key: value for key, value in run.config.model.options.items() if key != "checkpoint"}
    task = run.config.task
    model = build_teacher(
        run.config.model.name,
        num_classes=task.num_classes,
        sam=str(options["sam"]),
        preset=str(options["preset"]),
        patch=task.patch_dhw,
    )
    load_weights(run.best, model)
    return model.eval(), run
