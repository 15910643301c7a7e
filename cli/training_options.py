"""Options that train-teacher and distill share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..runtime.errors import UsageError
from ..runtime.task import Task, load_task

if TYPE_CHECKING:
    from ..training.recipe import Recipe

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
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of weights, crops and augmentation.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
PrecisionOption = Annotated[str, typer.Option("--precision", help="Number format: 32-true, bf16-mixed or 16-mixed.")]
WorkersOption = Annotated[int, typer.Option("--workers", help="Processes that load crops.")]
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


def resolve_recipe(task_name: str, **given: Any) -> Recipe:
    """Returns the papers' recipe, with the task's augmentation and what the caller gave (None: keep the default).

    Raises:
        UsageError: a value is out of range.
    """
    import msgspec

    from ..training.recipe import AUGMENTATION, Augmentation, Recipe

    fields = {key: value for key, value in given.items() if value is not None}
    augmentation = AUGMENTATION.get(task_name, Augmentation())
    try:
        return msgspec.convert({"augmentation": msgspec.to_builtins(augmentation), **fields}, Recipe)
    except msgspec.ValidationError as error:
        raise UsageError(f"training options: {error}") from None
