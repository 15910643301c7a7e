"""The options that train-teacher and distill share, each written once."""

from __future__ import annotations

import functools
import inspect
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from ...runtime.errors import UsageError
from ...runtime.task import Task
from ...runtime.task_presets import load_task
from ..terminal.console import Console
from ..terminal.log import log_on
from .paths import input_argument, output_option

if TYPE_CHECKING:
    from ...training.data.dataset import Dataset
    from ...training.loop.fit import FitResult
    from ...training.loop.hardware import Hardware
    from ...training.recipe import Recipe

DATASET = input_argument(
    help="MSD dataset.json or its folder, nnU-Net raw folder, MONAI data list, or a folder for each patient.",
    show_default=False,
)
RUN = output_option("--output", "-o", help="Run directory to write.", show_default=False)
DatasetArgument = Annotated[Path, DATASET]
RunOption = Annotated[Path, RUN]

_DATA, _RECIPE, _HARDWARE = "Data", "Recipe", "Devices"


@dataclass(frozen=True)
class TrainingOptions:
    """Options that both training commands share; None keeps the recipe's default."""

    spacing: Annotated[
        tuple[float, float, float] | None,
        typer.Option("--spacing", help="Voxel size x y z in mm instead of the task's.", rich_help_panel=_DATA),
    ] = None
    patch: Annotated[
        tuple[int, int, int] | None,
        typer.Option("--patch", help="Patch x y z in voxels instead of the task's.", rich_help_panel=_DATA),
    ] = None
    fold: Annotated[
        int | None,
        typer.Option(
            "--fold",
            min=0,
            help="Validate on this fold, as the list or nnU-Net's splits_final.json says.",
            rich_help_panel=_DATA,
        ),
    ] = None
    validation_fraction: Annotated[
        float | None,
        typer.Option(
            "--validation-fraction",
            help="Validate on this share of the training cases, if none are listed.",
            rich_help_panel=_DATA,
        ),
    ] = None
    cases: Annotated[
        Path | None,
        output_option(
            "--cases",
            help="Folder of prepared cases, shared by runs.",
            show_default="bedside-cases beside the run directory",
            rich_help_panel=_DATA,
        ),
    ] = None
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            help="Number of epochs.",
            show_default="200",
            rich_help_panel=_RECIPE,
        ),
    ] = None
    steps_per_epoch: Annotated[
        int | None,
        typer.Option(
            "--steps-per-epoch",
            help="Optimiser steps per epoch.",
            show_default="one crop per training case",
            rich_help_panel=_RECIPE,
        ),
    ] = None
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch", help="Crops per forward pass on each device.", show_default="1", rich_help_panel=_RECIPE
        ),
    ] = None
    accumulate: Annotated[
        int | None,
        typer.Option(
            "--accumulate", help="Forward passes per step on each device.", show_default="1", rich_help_panel=_RECIPE
        ),
    ] = None
    lr: Annotated[
        float | None, typer.Option("--lr", help="Base learning rate.", show_default="0.0005", rich_help_panel=_RECIPE)
    ] = None
    warmup: Annotated[
        int | None, typer.Option("--warmup", help="Warm-up epochs.", show_default="5", rich_help_panel=_RECIPE)
    ] = None
    positive: Annotated[
        float | None,
        typer.Option(
            "--positive", help="Share of crops centred on an organ.", show_default="0.5", rich_help_panel=_RECIPE
        ),
    ] = None
    balance_classes: Annotated[
        bool,
        typer.Option(
            "--balance-classes",
            help="Centre organ crops on every organ equally often, small or large.",
            rich_help_panel=_RECIPE,
        ),
    ] = False
    mirror_sides: Annotated[
        bool,
        typer.Option(
            "--mirror-sides",
            help="Flip left and right although labels are pairs of a left and a right.",
            rich_help_panel=_RECIPE,
        ),
    ] = False
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of weights, crops and augmentation.", rich_help_panel=_RECIPE)
    ] = 0
    validate_every: Annotated[
        int | None,
        typer.Option("--validate-every", help="Epochs between validations.", show_default="1", rich_help_panel=_RECIPE),
    ] = None
    pictures_every: Annotated[
        int | None,
        typer.Option(
            "--pictures-every",
            help="Epochs between pictures of a validation case; 0: none.",
            show_default="10",
            rich_help_panel=_RECIPE,
        ),
    ] = None
    precision: Annotated[
        str,
        typer.Option("--precision", help="Number format: 32-true, or bf16-mixed on a GPU.", rich_help_panel=_HARDWARE),
    ] = "32-true"
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.", rich_help_panel=_HARDWARE)] = "auto"
    devices: Annotated[
        int | None,
        typer.Option(
            "--devices",
            min=1,
            help="Devices on each node.",
            show_default="1, or as torchrun and SLURM say",
            rich_help_panel=_HARDWARE,
        ),
    ] = None
    nodes: Annotated[
        int | None,
        typer.Option(
            "--nodes",
            min=1,
            help="Machines.",
            show_default="1, or as torchrun and SLURM say",
            rich_help_panel=_HARDWARE,
        ),
    ] = None
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            help="auto, ddp (network on every device) or fsdp (spread over them).",
            rich_help_panel=_HARDWARE,
        ),
    ] = "auto"
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            help="Threads that load crops.",
            show_default="up to 4 on a GPU, else 0",
            rich_help_panel=_HARDWARE,
        ),
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output directory; more --epochs make it longer.")
    ] = False

    def task(self, name: str) -> Task:
        """Loads a task and replaces its spacing and patch where the options give them.

        Args:
            name: a preset or the path of a TOML file.

        Raises:
            UsageError: the task is unknown, or its spacing or patch is not valid.
            InputError: the task file is not valid.
        """
        changes: dict[str, Any] = {}
        if self.spacing is not None:
            changes["spacing"] = self.spacing
        if self.patch is not None:
            changes["patch"] = self.patch
        task = load_task(name)
        return task.replaced(**changes) if changes else task

    def dataset(self, path: Path, task: Task) -> Dataset:
        """Reads a data set; with --fold or --validation-fraction, splits its cases into training and validation.

        Raises:
            InputError: the data set is refused.
            UsageError: the split cannot be made.
        """
        from ...training.data.dataset import load_dataset

        dataset = load_dataset(path, labels=task.labels)
        if self.fold is None and self.validation_fraction is None:
            return dataset
        if self.validation_fraction is None:
            return dataset.split(fold=self.fold)
        return dataset.split(fold=self.fold, fraction=self.validation_fraction)

    def recipe(self, task_name: str, run: Path | None = None, default: Recipe | None = None) -> Recipe:
        """Returns a recipe with the task's augmentation and the values of the given options.

        Args:
            task_name: name of the preset whose augmentation applies; other tasks have the default.
            run: a run directory; with ``--resume`` and without ``--epochs``, its configuration gives the epochs.
            default: recipe where no option is given; None: the papers'.

        Raises:
            UsageError: a value is out of range.
            InputError: the configuration of the run to resume cannot be read.
        """
        import msgspec

        from ...training.recipe import AUGMENTATION, Augmentation, Recipe, TrainingPrecision
        from ...training.runs.run import Run

        precisions = get_args(TrainingPrecision)
        if self.precision not in precisions:
            raise UsageError(f'--precision: expected {" or ".join(precisions)}, got "{self.precision}"')
        given = {
            option.name: getattr(self, option.name)
            for option in fields(self)
            if option.name in Recipe.__struct_fields__ and getattr(self, option.name) != option.default
        }
        if self.resume and self.epochs is None and run is not None and (run / Run.CONFIG).exists():
            given["epochs"] = Run.open(run).config.recipe.epochs
        augmentation = msgspec.structs.replace(
            AUGMENTATION.get(task_name, Augmentation()), mirror_sides=self.mirror_sides
        )
        try:
            return msgspec.convert(
                {
                    **msgspec.to_builtins(default or Recipe()),
                    "augmentation": msgspec.to_builtins(augmentation),
                    **given,
                },
                Recipe,
            )
        except msgspec.ValidationError as error:
            raise UsageError(f"training options: {error}") from None

    def hardware(self) -> Hardware:
        """Returns the devices, nodes, strategy and loader threads to train with.

        Raises:
            UsageError: the device or strategy is unknown.
        """
        from ...training.loop.hardware import Hardware

        if self.device not in ("auto", "cpu", "cuda"):
            raise UsageError(f'--device: expected auto, cpu or cuda, got "{self.device}"')
        if self.strategy not in ("auto", "ddp", "fsdp"):
            raise UsageError(f'--strategy: expected auto, ddp or fsdp, got "{self.strategy}"')
        return Hardware(self.device, self.devices, self.nodes, self.strategy, self.workers)


def with_training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces a command's parameter ``training: TrainingOptions`` by the options that it is made of.

    The console shows the training's log while the command runs. Where torchrun or SLURM start several processes, only
    the first one prints.
    """
    # Not get_type_hints: Python 3.10 wraps a type with default None in Optional, which hides the option from typer.
    own, shared = (inspect.signature(each, eval_str=True) for each in (command, TrainingOptions))
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.parameters.items():
        if name != "training":
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        parameters += [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in shared.parameters.values()]

    @functools.wraps(command)
    def merged(**given: Any) -> None:
        options = {name: given.pop(name) for name in shared.parameters}
        if _beside_the_first():
            given |= {"json": False, "quiet": True}
            command(training=TrainingOptions(**options), **given)
            return
        with log_on(Console(given["json"], given["quiet"])):
            command(training=TrainingOptions(**options), **given)

    merged.__signature__ = own.replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
    merged.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return merged


def _beside_the_first() -> bool:
    """Whether the variables of torchrun or SLURM say that another process of this training is the first one."""
    return any(os.environ.get(name, "0") != "0" for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK"))


def report_training(console: Console, what: str, output: Path, result: FitResult) -> None:
    """Prints a training's final loss and best validation Dice."""
    console.finished(f'the run "{output.name}" is written')
    score = "" if result.best is None else f", best mean Dice on validation {result.best:.3f}"
    console.show(f"{what} trained in {output}: loss {result.loss:.3f}{score}")
    loss = result.loss if math.isfinite(result.loss) else None
    console.emit({"run": str(output), "loss": loss, "best_dice": result.best})
