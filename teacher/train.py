"""Training a teacher on a data set, and opening a trained one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch

from ..runtime.errors import InputError
from ..runtime.files.hashing import file_sha256
from ..runtime.task import Task
from ..training.data.crops import CropSource
from ..training.data.dataset import Dataset
from ..training.loop.checkpoint import load_weights
from ..training.loop.fit import FitProgress, FitResult, fit
from ..training.loop.hardware import Hardware
from ..training.loop.losses import segmentation_loss
from ..training.loop.processes import Team
from ..training.recipe import Recipe
from ..training.runs.run import ModelConfig, Run
from ..training.session import open_session
from . import build_teacher
from .variants import find_variant

_log = logging.getLogger("bedside.teacher")


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
    checkpoint_activations: bool = False,
    hardware: Hardware | None = None,
    cases: Path | None = None,
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
        checkpoint_activations: compute activations again in the backward pass instead of keeping them.
        hardware: devices, processes, nodes; None: one device, a GPU if there is one.
        cases: folder of prepared cases; None: `bedside-cases` beside ``out``.
        resume: go on with the run in ``out``.
        preparing: hears of preprocessing, (done, total).
        progress: hears of training.

    Raises:
        InputError: data set, checkpoint or a case was refused.
        UsageError: an unknown name, or ``out`` holds another run.
    """
    extra = {"checkpoint_activations": True} if checkpoint_activations else {}
    hardware = hardware or Hardware()
    with hardware.launched(recipe.precision) as fabric:
        team = Team(fabric)
        recipe = msgspec.structs.replace(recipe, processes=team.size)
        fabric.seed_everything(recipe.seed, verbose=False)
        if checkpoint is None and find_variant(sam).public and team.first:
            _log.warning("no SAM checkpoint given: the frozen part of %s is random; pass one for real training", sam)
        model = build_teacher(
            name, num_classes=task.num_classes, sam=sam, checkpoint=checkpoint, preset=preset, patch=task.patch_dhw,
            checkpoint_activations=checkpoint_activations,
        )  # fmt: skip
        config = ModelConfig(kind="teacher", name=name, options=_options(sam, checkpoint, preset) | extra)
        session = team.first_then_others(
            lambda: open_session(
                dataset, task, out, model=config, recipe=recipe, resume=resume or not team.first,
                cases=cases, progress=preparing if team.first else None,
            )
        )  # fmt: skip
        loss = segmentation_loss()

        def objective(logits: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return loss(logits, batch["label"])

        return fit(
            session.run, model, objective, [CropSource(case) for case in session.train], session.validation, fabric,
            workers=hardware.workers, progress=progress,
        )  # fmt: skip


def _options(sam: str, checkpoint: Path | None, preset: str) -> dict[str, str | int | float | bool]:
    """Returns what the run's configuration says of the network; SAM's weights by name and content."""
    options: dict[str, str | int | float | bool] = {"sam": sam, "preset": preset}
    if checkpoint is not None:
        options |= {"checkpoint": checkpoint.name, "checkpoint_sha256": file_sha256(checkpoint)}
    return options


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
    options = run.config.model.options
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
