"""The options that train-teacher and distill share, and the output of a training."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..terminal.console import Console
from ..terminal.log import log_on
from .dataset import DataOptions
from .hardware import HardwareOptions
from .paths import output_option
from .ranks import is_first_process, only_first_reports_usage
from .recipe import RecipeOptions

if TYPE_CHECKING:
    from ...runtime.task import Task
    from ...training.loop.fit import FitResult
    from ...training.recipe import Recipe

OptionalRunOption = Annotated[
    Path | None, output_option("--output", "-o", help="Run directory to write.", show_default=False)
]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Data, recipe and hardware of a training."""

    data: DataOptions
    recipe_options: RecipeOptions
    hardware_options: HardwareOptions
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output directory; more --epochs make it longer.")
    ] = False

    def recipe(self, task: Task, run: Path | None, default: Recipe) -> Recipe:
        """Returns a recipe with the task's augmentation and the values of the given options.

        Args:
            task: the task whose augmentation applies.
            run: a run directory; with ``--resume``, its configuration gives epochs and warm-up where no option does.
            default: recipe where no option is given.

        Raises:
            UsageError: a value is out of range.
            InputError: the configuration of the run to resume cannot be read.
        """
        from ...training.runs.run import Run

        changes: dict[str, Any] = {}
        if self.hardware_options.precision is not None:
            changes["precision"] = self.hardware_options.precision
        if self.resume and run is not None and (run / Run.CONFIG).exists():
            earlier = Run.open(run).config.recipe
            changes["class_offsets"] = earlier.class_offsets
            epochs = self.recipe_options.epochs
            changes["epochs"] = epochs = earlier.epochs if epochs is None else epochs
            # Of a short run fewer than the default, also when it is made longer; a shorter one is refused later.
            changes["warmup"] = max(0, min(earlier.warmup, epochs - 1))
        return self.recipe_options.recipe(task, default, **changes)


@contextmanager
def training_console(console: Console) -> Generator[Console]:
    """Yields the console of a training; it shows the training's log while the block runs.

    Where torchrun or SLURM start several processes, only the first one prints.
    """
    with only_first_reports_usage():
        if not is_first_process():
            yield Console(quiet=True)
            return
        with log_on(console):
            yield console


def report_training(console: Console, what: str, output: Path, result: FitResult) -> None:
    """Prints a training's final loss and best validation Dice."""
    console.finished(f'the run "{output.name}" is written')
    score = "" if result.best is None else f", best mean Dice on validation {result.best:.3f}"
    console.show(f"{what} trained in {output}: loss {result.loss:.3f}{score}")
    loss = result.loss if math.isfinite(result.loss) else None
    console.emit({"run": str(output), "loss": loss, "best_dice": result.best})
