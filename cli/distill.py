"""`bedside distill`: a small student from a data set and a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.errors import UsageError
from ..training.run import Run
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
    """Train a small student from the truth and a teacher, and leave a run directory that can be resumed.

    Example: bedside distill data/ --teacher runs/teacher --student swinunetr-small --lambda 0.5 -o runs/student
    """
    console = Console(json, quiet)
    if task is not None:
        resolved = resolve_task(task, spacing, patch)
    elif teacher is not None:
        if spacing is not None or patch is not None:
            raise UsageError("a student sees what its teacher sees: leave --spacing and --patch out")
        resolved = Run.open(teacher).config.task
    else:
        raise UsageError("give --teacher, or --task and --lambda 1")
    recipe = resolve_recipe(
        resolved.name, epochs=epochs, steps_per_epoch=steps_per_epoch, batch=batch, lr=lr, warmup=warmup,
        positive=positive, balance_classes=balance_classes, validate_every=validate_every, seed=seed,
        precision=precision, mirror_sides=mirror_sides,
    )  # fmt: skip
    require("train")
    from ..distill import distill

    cases = open_dataset(dataset, resolved, fold, validation_fraction)
    with console.stages("preparing cases", "asking the teacher", "training student") as (preparing, teaching, training):
        result = distill(
            cases, output, student=student, lam=lam, teacher=teacher, task=resolved, recipe=recipe, device=device,
            workers=workers, resume=resume, preparing=preparing, teaching=teaching, progress=training,
        )  # fmt: skip
    report_training(console, "student", output, result)
