"""One training: what is trained on, how, where, and the callbacks that follow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from ..runtime import arguments
from ..runtime.hooks import Progress
from ..runtime.task import Task
from .data.case_cache import CASES_FOLDER
from .data.dataset import Dataset
from .data.mirroring import check_mirroring
from .loop.fit import FitResult
from .loop.hardware import Hardware
from .recipe import Recipe, TrainingPrecision
from .runs.run import Run


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """Everything that a training needs besides its method: data, recipe, hardware and folders.

    Attributes:
        dataset: data set with labelled training and validation cases; its labels must be the task's.
        task: grid, intensities and patch of the prepared cases.
        out: run directory; created if needed.
        recipe: training recipe: epochs, batch, learning rate, augmentation.
        hardware: devices, processes, nodes; by default one device, a GPU if there is one.
        prepared_cases: folder of prepared cases; None: see `cases_folder`.
        resume: whether to continue the run in ``out``; more epochs in the recipe lengthen it.

    Raises:
        UsageError: a field has another type, or the recipe mirrors left and right where labels forbid it.
    """

    dataset: Dataset
    task: Task
    out: Path
    recipe: Recipe
    hardware: Hardware = field(default_factory=Hardware)
    prepared_cases: Path | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        arguments.instance("dataset", self.dataset, Dataset, "read one with load_dataset")
        arguments.instance("task", self.task, Task)
        arguments.instance("out", self.out, Path)
        arguments.instance("recipe", self.recipe, Recipe)
        arguments.instance("hardware", self.hardware, Hardware)
        arguments.optional(arguments.instance, "prepared_cases", self.prepared_cases, Path)
        arguments.flag("resume", self.resume)
        check_mirroring(self.task, self.recipe.augmentation)

    @property
    def cases_folder(self) -> Path:
        """Folder of prepared cases, by default `CASES_FOLDER` beside the run directory.

        So a teacher, its students and a sweep in neighbouring run directories share prepared cases.
        """
        return self.prepared_cases or self.out.resolve().parent / CASES_FOLDER

    def with_processes(self, number: int) -> TrainingJob:
        """Returns the job with the actual number of training processes in its recipe."""
        return replace(self, recipe=msgspec.structs.replace(self.recipe, processes=number))

    def with_precision(self, precision: TrainingPrecision) -> TrainingJob:
        """Returns the job with another number format in its recipe."""
        return replace(self, recipe=msgspec.structs.replace(self.recipe, precision=precision))


@dataclass(frozen=True, kw_only=True)
class TrainingHooks:
    """Callbacks of a training, each called on the first process; None reports nothing.

    Attributes:
        preparing: called during preprocessing with (cases done, cases in total).
        teaching: called while a teacher segments the training cases, with (cases done, cases in total).
        progress: called after each step and each validated case with (steps done, steps in total, note).
        finished: called at the end with (run directory, final figures).

    Raises:
        UsageError: a hook cannot be called with these arguments.
    """

    preparing: Progress | None = None
    teaching: Progress | None = None
    progress: Progress | None = None
    finished: Callable[[Run, FitResult], None] | None = None

    def __post_init__(self) -> None:
        arguments.optional(arguments.callback, "preparing", self.preparing, "done", "total")
        arguments.optional(arguments.callback, "teaching", self.teaching, "done", "total")
        arguments.optional(arguments.callback, "progress", self.progress, "done", "total", "note")
        arguments.optional(arguments.callback, "finished", self.finished, "run", "result")
