"""`bedside train-teacher`: a SAM-adapted 3D teacher from a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import Console, JsonOption, QuietOption
from .extras import require
from .training_options import (
    BalanceOption,
    BatchOption,
    DatasetArgument,
    DeviceOption,
    EpochsOption,
    FoldOption,
    MirrorOption,
    PatchOption,
    PositiveOption,
    PrecisionOption,
    RateOption,
    ResumeOption,
    RunOption,
    SeedOption,
    SpacingOption,
    StepsOption,
    ValidateOption,
    ValidationOption,
    WarmupOption,
    WorkersOption,
    open_dataset,
    report_training,
    resolve_recipe,
    resolve_task,
)


def command(
    dataset: DatasetArgument,
    output: RunOption,
    task: Annotated[str, typer.Option("--task", help="Preset (btcv, amos-ct, …) or a TOML file.")] = "btcv",
    name: Annotated[str, typer.Option("--name", help="Registered teacher.")] = "autosam",
    sam: Annotated[str, typer.Option("--sam", help="SAM encoder: vit_b, vit_l, vit_h; vit_nano for CPUs.")] = "vit_b",
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="SAM's weights, such as sam_vit_b_01ec64.pth.")
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="paper or released_code.")] = "paper",
    spacing: SpacingOption = None,
    patch: PatchOption = None,
    epochs: EpochsOption = None,
    steps_per_epoch: StepsOption = None,
    batch: BatchOption = None,
    lr: RateOption = None,
    warmup: WarmupOption = None,
    positive: PositiveOption = None,
    balance_classes: BalanceOption = False,
    validate_every: ValidateOption = None,
    fold: FoldOption = None,
    validation_fraction: ValidationOption = None,
    mirror_sides: MirrorOption = False,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "32-true",
    workers: WorkersOption = 0,
    resume: ResumeOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a SAM-adapted 3D teacher and leave a run directory that can be resumed.

    Example: bedside train-teacher data/ --task btcv --checkpoint sam_vit_b_01ec64.pth -o runs/teacher
    """
    console = Console(json, quiet)
    resolved = resolve_task(task, spacing, patch)
    recipe = resolve_recipe(
        resolved.name, epochs=epochs, steps_per_epoch=steps_per_epoch, batch=batch, lr=lr, warmup=warmup,
        positive=positive, balance_classes=balance_classes, validate_every=validate_every, seed=seed,
        precision=precision, mirror_sides=mirror_sides,
    )  # fmt: skip
    require("train")
    from ..teacher.train import train_teacher

    cases = open_dataset(dataset, resolved, fold, validation_fraction)
    with console.stages("preparing cases", "training teacher") as (preparing, training):
        result = train_teacher(
            cases, resolved, output, recipe=recipe, name=name, sam=sam, checkpoint=checkpoint, preset=preset,
            device=device, workers=workers, resume=resume, preparing=preparing, progress=training,
        )  # fmt: skip
    report_training(console, "teacher", output, result)
