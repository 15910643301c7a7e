"""Trains a teacher on a data set, and opens a trained one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch

from ..runtime import arguments
from ..runtime.errors import InputError
from ..runtime.task import Task
from ..training.data.crops import CropSource
from ..training.data.dataset import Dataset
from ..training.loop.checkpoint import load_weights
from ..training.loop.fit import FitProgress, FitResult, fit
from ..training.loop.hardware import Hardware
from ..training.loop.losses import segmentation_loss
from ..training.loop.process_group import ProcessGroup
from ..training.prepared_run import prepare_run
from ..training.recipe import Recipe
from ..training.runs.run import Run
from .config import TeacherConfig

_log = logging.getLogger("bedside.teacher")


def train_teacher(
    dataset: Dataset,
    task: Task,
    out: Path,
    *,
    config: TeacherConfig,
    recipe: Recipe,
    hardware: Hardware | None = None,
    cases: Path | None = None,
    resume: bool = False,
    preparing: Callable[[int, int], None] | None = None,
    progress: FitProgress | None = None,
) -> FitResult:
    """Trains a SAM-based teacher with Dice + cross-entropy and writes a run directory.

    Args:
        dataset: labelled cases; its labels must be the task's.
        task: grid, intensities, patch.
        out: run directory.
        config: options of the teacher.
        recipe: training recipe: epochs, batch, learning rate, augmentation.
        hardware: devices, processes, nodes; None: one device, a GPU if there is one.
        cases: folder of prepared cases; None: `bedside-cases` beside ``out``.
        resume: whether to continue the run in ``out``.
        preparing: called during preprocessing with (cases done, cases in total).
        progress: called after each step with (steps done, steps in total, note).

    Raises:
        InputError: data set, checkpoint or a case was refused.
        UsageError: a name is unknown, an argument has another type, or ``out`` holds another run.
    """
    dataset = arguments.instance("dataset", dataset, Dataset, "read one with load_dataset")
    task, out = arguments.instance("task", task, Task), arguments.path("out", out)
    config = arguments.instance("config", config, TeacherConfig)
    recipe = arguments.instance("recipe", recipe, Recipe)
    hardware = arguments.optional(arguments.instance, "hardware", hardware, Hardware) or Hardware()
    cases = arguments.optional(arguments.path, "cases", cases)
    resume = arguments.flag("resume", resume)
    for name, hook in (("preparing", preparing), ("progress", progress)):
        arguments.optional(arguments.callback, name, hook, f"{name}(done, total)")
    with hardware.launched(recipe.precision) as fabric:
        team = ProcessGroup(fabric)
        recipe = msgspec.structs.replace(recipe, processes=team.size)
        fabric.seed_everything(recipe.seed, verbose=False)
        model = team.first_then_others(lambda: config.build(task.num_classes, task.patch_dhw))
        if config.lacks_weights and team.first:
            _log.warning(
                "no SAM checkpoint given: the frozen part of %s is random; pass one for real training", config.encoder
            )
        with prepare_run(
            team,
            dataset,
            task,
            out,
            model=team.broadcast_from_first(config.recorded),
            recipe=recipe,
            resume=resume,
            cases=cases,
            progress=preparing,
        ) as session:
            loss = segmentation_loss(ignores=any(case.ignored for case in session.train))

            def objective(logits: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
                return loss(logits, batch["label"])

            return fit(
                session.run,
                model,
                objective,
                [CropSource(case) for case in session.train],
                session.validation,
                fabric,
                workers=hardware.workers,
                progress=progress,
            )


def load_teacher(path: Path) -> tuple[torch.nn.Module, Run]:
    """Opens a trained teacher from its run directory.

    Returns:
        The network in evaluation mode, logits ``[B, C, D, H, W]`` from ``[B, 1, D, H, W]``, and its run.

    Raises:
        UsageError: ``path`` is no path.
        InputError: the directory holds no trained teacher.
    """
    run = Run.open(arguments.path("path", path))
    if run.config.model.kind != "teacher":
        raise InputError(
            f'"{run.name}" is a {run.config.model.kind} run; expected a teacher: '
            "give what was --output of train-teacher"
        )
    task = run.config.task
    model = TeacherConfig.of(run.config.model).build(task.num_classes, task.patch_dhw)
    load_weights(run.best, model)
    return model.eval(), run
