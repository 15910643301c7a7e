"""`bedside train-teacher`: a SAM-adapted 3D teacher from a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import training_options as options
from .console import Console, JsonOption, QuietOption
from .extras import require


def command(
    dataset: options.DatasetArgument,
    output: options.RunOption,
    task: Annotated[str, typer.Option("--task", help="Preset (btcv, amos-ct, …) or a TOML file.")] = "btcv",
    name: Annotated[str, typer.Option("--name", help="Registered teacher.")] = "autosam",
    sam: Annotated[str, typer.Option("--sam", help="SAM encoder: vit_b, vit_l, vit_h; vit_nano for CPUs.")] = "vit_b",
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="SAM's weights, such as sam_vit_b_01ec64.pth.")
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="paper or released_code.")] = "paper",
    spacing: options.SpacingOption = None,
    patch: options.PatchOption = None,
    epochs: options.EpochsOption = None,
    steps_per_epoch: options.StepsOption = None,
    batch: options.BatchOption = None,
    lr: options.RateOption = None,
    warmup: options.WarmupOption = None,
    positive: options.PositiveOption = None,
    balance_classes: options.BalanceOption = False,
    validate_every: options.ValidateOption = None,
    fold: options.FoldOption = None,
    validation_fraction: options.ValidationOption = None,
    mirror_sides: options.MirrorOption = False,
    seed: options.SeedOption = 0,
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = "32-true",
    workers: options.WorkersOption = 0,
    resume: options.ResumeOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a SAM-adapted 3D teacher and leave a run directory that can be resumed.

    Example: bedside train-teacher data/ --task btcv --checkpoint sam_vit_b_01ec64.pth -o runs/teacher
    """
    console = Console(json, quiet)
    resolved = options.resolve_task(task, spacing, patch)
    recipe = options.resolve_recipe(
        resolved.name, epochs=epochs, steps_per_epoch=steps_per_epoch, batch=batch, lr=lr, warmup=warmup,
        positive=positive, balance_classes=balance_classes, validate_every=validate_every, seed=seed,
        precision=precision, mirror_sides=mirror_sides,
    )  # fmt: skip
    require("train")
    from ..teacher.train import train_teacher

    cases = options.open_dataset(dataset, resolved, fold, validation_fraction)
    with console.stages("preparing cases", "training teacher") as (preparing, training):
        result = train_teacher(
            cases, resolved, output, recipe=recipe, name=name, sam=sam, checkpoint=checkpoint, preset=preset,
            device=device, workers=workers, resume=resume, preparing=preparing, progress=training,
        )  # fmt: skip
    options.report_training(console, "teacher", output, result)
