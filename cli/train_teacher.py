"""`bedside train-teacher`: a SAM-adapted 3D teacher from a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import Console, JsonOption, QuietOption
from .extras import require
from .training_options import DatasetArgument, RunOption, TrainingOptions, report_training, with_training_options


@with_training_options
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
    checkpoint_activations: Annotated[
        bool, typer.Option("--checkpoint-activations", help="Less memory, more work: keep no activations of blocks.")
    ] = False,
    *,
    training: TrainingOptions,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a SAM-adapted 3D teacher and leave a run directory that can be resumed.

    Example: bedside train-teacher data/ --task btcv --checkpoint sam_vit_b_01ec64.pth -o runs/teacher
    """
    console = Console(json, quiet)
    resolved = training.task(task)
    recipe = training.recipe(resolved.name)
    require("train")
    from ..teacher.train import train_teacher

    cases, hardware = training.dataset(dataset, resolved), training.hardware()
    with console.stages("preparing cases", "training teacher") as (preparing, learning):
        result = train_teacher(
            cases, resolved, output, recipe=recipe, name=name, sam=sam, checkpoint=checkpoint, preset=preset,
            checkpoint_activations=checkpoint_activations, hardware=hardware, resume=training.resume,
            preparing=preparing, progress=learning,
        )  # fmt: skip
    report_training(console, "teacher", output, result)
