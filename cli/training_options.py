"""Options that train-teacher and distill share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..runtime.errors import UsageError
from ..runtime.task import Task, load_task

if TYPE_CHECKING:
    from ..training.dataset import Dataset
    from ..training.fit import FitResult
    from ..training.recipe import Recipe
    from .console import Console

DatasetArgument = Annotated[
    Path, typer.Argument(help="MSD dataset.json or its folder, nnU-Net v2 raw folder, or MONAI data list.")
]
RunOption = Annotated[Path, typer.Option("--output", "-o", help="Run directory to write.")]
SpacingOption = Annotated[
    tuple[float, float, float] | None, typer.Option("--spacing", help="Voxel size x y z in mm instead of the task's.")
]
PatchOption = Annotated[
    tuple[int, int, int] | None, typer.Option("--patch", help="Patch x y z in voxels instead of the task's.")
]
EpochsOption = Annotated[int | None, typer.Option("--epochs", help="Number of epochs. [default: 200]")]
StepsOption = Annotated[
    int | None, typer.Option("--steps-per-epoch", help="Optimiser steps per epoch. [default: one per training case]")
]
BatchOption = Annotated[int | None, typer.Option("--batch", help="Crops per step. [default: 1]")]
RateOption = Annotated[float | None, typer.Option("--lr", help="Base learning rate. [default: 0.0005]")]
WarmupOption = Annotated[int | None, typer.Option("--warmup", help="Warm-up epochs. [default: 5]")]
PositiveOption = Annotated[
    float | None, typer.Option("--positive", help="Share of crops centred on an organ. [default: 0.5]")
]
BalanceOption = Annotated[
    bool, typer.Option("--balance-classes", help="Centre organ crops on every organ equally often, small or large.")
]
ValidateOption = Annotated[
    int | None, typer.Option("--validate-every", help="Epochs between validations. [default: 1]")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of weights, crops and augmentation.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
PrecisionOption = Annotated[str, typer.Option("--precision", help="Number format: 32-true, or bf16-mixed on a GPU.")]
WorkersOption = Annotated[int, typer.Option("--workers", min=0, help="Processes that load crops.")]
FoldOption = Annotated[
    int | None, typer.Option("--fold", min=0, help="Validate on this fold of a list that names folds.")
]
ValidationOption = Annotated[
    float | None,
    typer.Option("--validation-fraction", help="Validate on this share of the training cases, if none are listed."),
]
MirrorOption = Annotated[
    bool, typer.Option("--mirror-sides", help="Flip left and right although the task has paired organs.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run in the output directory.")]


def resolve_task(name: str, spacing: tuple[float, float, float] | None, patch: tuple[int, int, int] | None) -> Task:
    """Returns a task by name or file, with grid and patch changed where asked.

    Raises:
        UsageError: no such task, or values it cannot have.
        InputError: a task file that is not valid.
    """
    changes: dict[str, Any] = {}
    if spacing is not None:
        changes["spacing"] = spacing
    if patch is not None:
        changes["patch"] = patch
    task = load_task(name)
    return task.replaced(**changes) if changes else task


def open_dataset(path: Path, task: Task, fold: int | None, fraction: float | None) -> Dataset:
    """Reads a data set, and takes validation cases out of its training list where that is asked for.

    Raises:
        InputError: the data set is refused.
        UsageError: a split that cannot be made.
    """
    from ..training.dataset import load_dataset

    dataset = load_dataset(path, labels=task.labels)
    if fold is None and fraction is None:
        return dataset
    return dataset.split(fold=fold) if fraction is None else dataset.split(fold=fold, fraction=fraction)


def report_training(console: Console, what: str, output: Path, result: FitResult) -> None:
    """Says how a training ended."""
    score = "" if result.best is None else f", best mean Dice on validation {result.best:.3f}"
    console.show(f"{what} trained in {output}: loss {result.loss:.3f}{score}")
    loss = result.loss if math.isfinite(result.loss) else None
    console.emit({"run": str(output), "loss": loss, "best_dice": result.best})


def resolve_recipe(task_name: str, *, mirror_sides: bool, **given: Any) -> Recipe:
    """Returns the papers' recipe, with the task's augmentation and what the caller gave (None: keep the default).

    Raises:
        UsageError: a value is out of range.
    """
    import msgspec

    from ..training.recipe import AUGMENTATION, Augmentation, Recipe

    fields = {key: value for key, value in given.items() if value is not None}
    augmentation = msgspec.structs.replace(AUGMENTATION.get(task_name, Augmentation()), mirror_sides=mirror_sides)
    try:
        return msgspec.convert({"augmentation": msgspec.to_builtins(augmentation), **fields}, Recipe)
    except msgspec.ValidationError as error:
        raise UsageError(f"training options: {error}") from None
