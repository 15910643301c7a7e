"""`bedside distill`: a small student from a data set and a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.errors import UsageError
from ..training.run import Run
from . import training_options as options
from .console import Console, JsonOption, QuietOption
from .extras import require


def command(
    dataset: options.DatasetArgument,
    output: options.RunOption,
    teacher: Annotated[Path | None, typer.Option("--teacher", help="Run directory of a trained teacher.")] = None,
    student: Annotated[
        str, typer.Option("--student", help="swinunetr-tiny, swinunetr-small or unet-nano.")
    ] = "swinunetr-tiny",
    lam: Annotated[
        float,
        typer.Option(
            "--lambda", min=0.0, max=1.0, help="Weight of the truth; 1 trains without a teacher, the baseline."
        ),
    ] = 0.5,
    task: Annotated[
        str | None, typer.Option("--task", help="Preset or TOML file; needed only without a teacher.")
    ] = None,
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
    """Train a small student from the truth and a teacher, and leave a run directory that can be resumed.

    Example: bedside distill data/ --teacher runs/teacher --student swinunetr-small --lambda 0.5 -o runs/student
    """
    console = Console(json, quiet)
    if task is not None:
        resolved = options.resolve_task(task, spacing, patch)
    elif teacher is not None:
        if spacing is not None or patch is not None:
            raise UsageError("a student sees what its teacher sees: leave --spacing and --patch out")
        resolved = Run.open(teacher).config.task
    else:
        raise UsageError("give --teacher, or --task and --lambda 1")
    recipe = options.resolve_recipe(
        resolved.name, epochs=epochs, steps_per_epoch=steps_per_epoch, batch=batch, lr=lr, warmup=warmup,
        positive=positive, balance_classes=balance_classes, validate_every=validate_every, seed=seed,
        precision=precision, mirror_sides=mirror_sides,
    )  # fmt: skip
    require("train")
    from ..distill import distill

    cases = options.open_dataset(dataset, resolved, fold, validation_fraction)
    with console.stages("preparing cases", "asking the teacher", "training student") as (preparing, teaching, training):
        result = distill(
            cases, output, student=student, lam=lam, teacher=teacher, task=resolved, recipe=recipe, device=device,
            workers=workers, resume=resume, preparing=preparing, teaching=teaching, progress=training,
        )  # fmt: skip
    options.report_training(console, "student", output, result)
