"""Trains a network in a run directory; teachers and students differ only by their `TrainingMethod`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch

from ..runtime.hooks import Progress
from ..runtime.task import Task
from .data.crops import CropSource
from .job import TrainingHooks, TrainingJob
from .loop.fit import FitResult, TrainingSetup, fit
from .loop.hardware import use_precision
from .loop.objective import DeeplySupervised, Objective
from .loop.precision_choice import choose_precision
from .loop.process_group import ProcessGroup
from .prepared_run import MethodRecord, PreparedRun, prepare_run
from .recipe import TrainingPrecision
from .runs.run import Run

_log = logging.getLogger("bedside.training")


class TrainingMethod(Protocol):
    """One way to train: the network, its loss, its crops, and what the run records about them.

    The method is released before the first step, with whatever only `sources` needs, such as a teacher's network.
    """

    def build(self, task: Task) -> torch.nn.Module:
        """Builds the network, with logits ``[B, C, D, H, W]`` for patches ``[B, 1, D, H, W]`` of the task."""
        ...

    def recorded(self) -> MethodRecord:
        """Returns the method's part of the run configuration.

        Only the first process calls this, after `build` and before it prepares cases.
        """
        ...

    def objective(self, prepared: PreparedRun, group: ProcessGroup) -> Objective:
        """Returns the loss function; it may hold what it needs in every step, such as a teacher's network.

        Args:
            prepared: open run with its prepared cases.
            group: process group.
        """
        ...

    def sources(self, prepared: PreparedRun, group: ProcessGroup, progress: Progress | None) -> list[CropSource]:
        """Returns the sources of crops; all processes call this together.

        Args:
            prepared: open run with its prepared cases.
            group: process group.
            progress: called with (cases done, cases in total) where the sources are computed; None reports nothing.
        """
        ...


def train(job: TrainingJob, open_method: Callable[[], TrainingMethod], hooks: TrainingHooks) -> FitResult:
    """Trains a network and writes a run directory.

    Args:
        job: data, recipe, hardware and folders.
        open_method: opens the method, such as a trained teacher to learn from; called on the first process, then on
            the others.
        hooks: callbacks.

    Raises:
        InputError: data set, checkpoint, teacher or a case was refused.
        UsageError: options contradict each other, or the run directory holds another run.
        ResourceError: a folder cannot be written, a process was lost, or another one trains in the run directory.
        TrainingInterrupted: a process received SIGTERM or Ctrl-C; the state was saved.
        DivergedError: the loss became NaN or infinite.
    """
    with job.hardware.launched(job.recipe.precision, idle_parameters=job.recipe.auxiliary_alone > 0) as fabric:
        group = ProcessGroup(fabric)
        job = job.with_processes(group.size)
        group.broadcast_from_first(partial(Run.check_unused, job.out, resume=job.resume))  # before a teacher is opened
        method = group.first_then_others(open_method)
        fabric.seed_everything(job.recipe.seed, verbose=False)
        model = group.first_then_others(partial(method.build, job.task))
        if job.recipe.auxiliary_alone and group.first and not isinstance(model, DeeplySupervised):
            _log.warning(
                "the network has no auxiliary outputs, so no epochs train by these alone: leave --auxiliary-alone out"
            )
        if job.recipe.precision == "auto":
            job = job.with_precision(_settled_precision(job, model, group))
            use_precision(fabric, job.recipe.precision)
        record = group.broadcast_from_first(method.recorded)
        with prepare_run(job, record, group, progress=hooks.preparing) as prepared:
            setup = TrainingSetup(
                model=model,
                objective=method.objective(prepared, group),
                sources=method.sources(prepared, group, hooks.teaching if group.first else None),
                validation=prepared.validation,
            )
            del method  # frees a teacher's memory
            result = fit(prepared.run, setup, fabric, workers=job.hardware.workers, progress=hooks.progress)
            if hooks.finished is not None and group.first:
                hooks.finished(prepared.run, result)
            return result


def _settled_precision(job: TrainingJob, model: torch.nn.Module, group: ProcessGroup) -> TrainingPrecision:
    """Returns the number format that a run to be resumed has recorded, or else what `choose_precision` finds."""

    def recorded() -> TrainingPrecision | None:
        return Run.open(job.out).config.recipe.precision if (job.out / Run.CONFIG).exists() else None

    return group.broadcast_from_first(recorded) or choose_precision(model, job.recipe, job.task, group)
