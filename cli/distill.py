"""`bedside distill`: a small student from a data set and a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import Console, JsonOption, QuietOption
from .training_options import (
    BalanceOption,
    BatchOption,
    DatasetArgument,
    DeviceOption,
    EpochsOption,
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
    WarmupOption,
    WorkersOption,
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
    from ..distill import distill
    from ..training.dataset import load_dataset
    from ..training.run import Run

    resolved = resolve_task(task, spacing, patch) if task is not None else None
    task_name = Run.open(teacher).config.task.name if teacher is not None else (task or "")
    recipe = resolve_recipe(
        task_name, epochs=epochs, steps_per_epoch=steps_per_epoch, batch=batch, lr=lr, warmup=warmup,
        positive=positive, balance_classes=balance_classes, validate_every=validate_every, seed=seed,
        precision=precision,
    )  # fmt: skip
    cases = load_dataset(dataset)
    with console.stages("preparing cases", "asking the teacher", "training student") as (preparing, teaching, training):
        result = distill(
            cases, output, student=student, lam=lam, teacher=teacher, task=resolved, recipe=recipe, device=device,
            workers=workers, resume=resume, preparing=preparing, teaching=teaching, progress=training,
        )  # fmt: skip
    score = "" if result.best is None else f", best mean Dice on validation {result.best:.3f}"
    console.show(f"student trained in {output}: loss {result.loss:.3f}{score}")
    console.emit({"run": str(output), "loss": result.loss, "best_dice": result.best})
