"""`bedside train-teacher`: a 3D teacher from a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..runtime.errors import UsageError
from ..runtime.task import Task
from ..teacher import TEACHERS, teacher_config
from ..teacher.config import TeacherConfig
from ..training.recipe import Recipe
from .options.command import last_given, typer_function
from .options.dataset import OptionalDatasetArgument
from .options.extras import require
from .options.ranks import only_first_reports_usage
from .options.recipe import changed_defaults
from .options.teacher_family import DEFAULT, with_family_options
from .options.training import OptionalRunOption, TrainingOptions, report_training, training_console
from .terminal.console import Console

if TYPE_CHECKING:
    from ..training.loop.hardware import Hardware


_TASK = "btcv"  # unless --task names another


@dataclass(frozen=True, kw_only=True)
class TrainTeacher:
    """Train a 3D teacher, around SAM or another network, and leave a run directory that can be resumed.

    Example: bedside train-teacher data/ --task btcv --checkpoint sam_vit_b_01ec64.pth -o runs/teacher

    Example: bedside train-teacher data/ --task btcv --name segresnet -o runs/segresnet

    Example: bedside train-teacher --task btcv --patch 96 96 96 --dry-run

    Example: bedside train-teacher data/ --task btcv --checkpoint sam_vit_b_01ec64.pth --no-apg -o runs/no-apg
    """

    dataset: OptionalDatasetArgument = None
    output: OptionalRunOption = None
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            help="Preset (btcv, amos-ct, …) or a TOML file; needed for a data set that names no labels.",
            show_default=_TASK,
        ),
    ] = None
    name: Annotated[
        str,
        typer.Option(
            "--name",
            help=f"Teacher family: {', '.join(TEACHERS.own)}, or one of an installed package. "
            "Another family has other options: see --name FAMILY --help.",
        ),
    ] = DEFAULT
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show parameters, FLOPs and memory; needs no data, no -o.")
    ] = False
    training: TrainingOptions
    console: Console
    if TYPE_CHECKING:
        family_options: Any  # a dataclass; `train_teacher` adds the field for each family

    def __call__(self) -> None:
        """Trains the teacher, or shows what a step would cost."""
        with training_console(self.console) as console:
            task = self.training.data.task(self.task or _TASK)
            require("train")
            hardware = self.training.hardware_options.hardware()
            recipe = self.training.recipe(task, self.output, TEACHERS.find(self.name).recipe)
            config = teacher_config(self.name, **asdict(self.family_options))
            if self.dry_run:
                self._show_cost(config, task, recipe, hardware, console)
            else:
                self._train(config, task, recipe, hardware, console)

    def _show_cost(
        self, config: TeacherConfig, task: Task, recipe: Recipe, hardware: Hardware, console: Console
    ) -> None:
        from ..teacher.cost import DeviceMemory, predict_cost

        cost = predict_cost(
            config,
            num_classes=task.num_classes,
            patch=task.patch.dhw,
            batch=recipe.batch,
            precision=recipe.precision,
            optimizer=recipe.optimizer,
            averages=recipe.average_weights > 0,
        )
        device = DeviceMemory.available(hardware.device)
        console.show(*cost.lines(device))
        console.emit(cost.record(device))

    def _train(self, config: TeacherConfig, task: Task, recipe: Recipe, hardware: Hardware, console: Console) -> None:
        if self.dataset is None or self.output is None:
            raise UsageError("train-teacher: give a data set and --output; only --dry-run does without")
        from ..teacher.train import train_teacher

        # The default task names no labels: a data set without names may have other organs, in another order.
        cases = self.training.data.dataset(self.dataset, None if self.task is None else task.labels)
        with console.stages("preparing cases", "training teacher") as (preparing, learning):
            result = train_teacher(
                cases,
                task,
                self.output,
                config=config,
                recipe=recipe,
                hardware=hardware,
                prepared_cases=self.training.data.cases,
                resume=self.training.resume,
                preparing=preparing,
                progress=learning,
            )
        report_training(console, "teacher", self.output, result)


def train_teacher(arguments: Sequence[str]) -> Callable[..., None]:
    """Returns the function of the command with the options of the family that the arguments name.

    Raises:
        UsageError: no family has this name.
    """
    family = last_given(arguments, "--name", DEFAULT)
    with only_first_reports_usage():
        defaults = changed_defaults(TEACHERS.find(family).recipe)
        return typer_function(with_family_options(TrainTeacher, family), defaults)
