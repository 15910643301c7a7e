"""Trains a teacher on a data set, and opens a trained one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from ..runtime import arguments
from ..runtime.errors import InputError, UsageError
from ..runtime.files.system_files import is_file
from ..runtime.hooks import Progress
from ..runtime.task import Task
from ..training.data.crops import CropSource
from ..training.data.dataset import Dataset
from ..training.job import TrainingHooks, TrainingJob
from ..training.loop.checkpoint import load_weights
from ..training.loop.fit import FitResult
from ..training.loop.hardware import Hardware
from ..training.loop.losses import segmentation_loss
from ..training.loop.objective import Objective
from ..training.loop.process_group import ProcessGroup
from ..training.prepared_run import MethodRecord, PreparedRun
from ..training.recipe import Recipe
from ..training.runs.run import Run
from ..training.train import train
from .config import TeacherConfig
from .families import TEACHERS, recorded_config

_log = logging.getLogger("bedside.teacher")


def train_teacher(
    dataset: Dataset,
    task: Task,
    out: Path,
    *,
    config: TeacherConfig,
    recipe: Recipe | None = None,
    hardware: Hardware | None = None,
    prepared_cases: Path | None = None,
    resume: bool = False,
    preparing: Progress | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Trains a teacher with Dice + cross-entropy and writes a run directory.

    Args:
        dataset: labelled cases; its labels must be the task's.
        task: grid, intensities, patch.
        out: run directory.
        config: options of the teacher.
        recipe: training recipe: epochs, batch, learning rate, augmentation; None: that of the command without options,
            the family's own with the task's augmentation. `Recipe.for_task` gives one with changes.
        hardware: devices, processes, nodes; None: one device, a GPU if there is one.
        prepared_cases: folder of prepared cases; None: `bedside-cases` beside ``out``.
        resume: whether to continue the run in ``out``.
        preparing: called during preprocessing with (cases done, cases in total).
        progress: called after each step with (steps done, steps in total, note).

    Raises:
        InputError: data set, checkpoint or a case was refused.
        UsageError: a name is unknown, an argument has another type, the recipe asks for scans without labels, or
            ``out`` holds another run.
    """
    config = arguments.instance("config", config, TeacherConfig)
    if recipe is None:
        recipe = TEACHERS.find(config.name).recipe.for_task(task)
    job = TrainingJob(
        dataset=dataset,
        task=task,
        out=arguments.path("out", out),
        recipe=recipe,
        hardware=Hardware() if hardware is None else hardware,
        prepared_cases=arguments.optional(arguments.path, "prepared_cases", prepared_cases),
        resume=resume,
    )
    if job.recipe.unlabelled:
        raise UsageError(
            f"a teacher learns from labels alone: expected a recipe with unlabelled 0, got {job.recipe.unlabelled:g}"
        )

    def opened() -> _SupervisedTeacher:
        resumes = job.resume and is_file(job.out / Run.CONFIG)
        return _SupervisedTeacher(config.continuing(Run.open(job.out).config.model) if resumes else config)

    return train(job, opened, TrainingHooks(preparing=preparing, progress=progress))


@dataclass(frozen=True)
class _SupervisedTeacher:
    """The training of a teacher from labels.

    Attributes:
        config: options of the teacher.
    """

    config: TeacherConfig

    def build(self, task: Task) -> torch.nn.Module:
        return self.config.build(task.num_classes, task.patch.dhw)

    def recorded(self) -> MethodRecord:
        if self.config.lacks_weights:
            _log.warning(
                "no SAM checkpoint given: the frozen part of %s is random; pass one, or train the encoder too",
                self.config.encoder,
            )
        return MethodRecord(self.config.recorded())

    def objective(self, prepared: PreparedRun, group: ProcessGroup) -> Objective:
        balanced = prepared.run.config.recipe.balanced
        loss = segmentation_loss(ignores=prepared.has_ignored_voxels, balanced=balanced)
        return lambda logits, batch: {"labels": loss(logits, batch["label"])}

    def sources(self, prepared: PreparedRun, group: ProcessGroup, progress: Progress | None) -> list[CropSource]:
        return [CropSource(case) for case in prepared.train]


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
    model = recorded_config(run.config.model).build(task.num_classes, task.patch.dhw)
    load_weights(run.best, model)
    return model.eval(), run
