"""`bedside train-teacher`: a SAM-adapted 3D teacher from a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.errors import UsageError
from .options.extras import require
from .options.paths import input_option
from .options.training import DATASET, RUN, TrainingOptions, report_training, with_training_options
from .terminal.console import Console, JsonOption, QuietOption


@with_training_options
def command(
    dataset: Annotated[Path | None, DATASET] = None,
    output: Annotated[Path | None, RUN] = None,
    task: Annotated[str, typer.Option("--task", help="Preset (btcv, amos-ct, …) or a TOML file.")] = "btcv",
    name: Annotated[str, typer.Option("--name", help="Registered teacher.")] = "autosam",
    sam: Annotated[str, typer.Option("--sam", help="SAM encoder: vit_b, vit_l, vit_h; vit_nano for CPUs.")] = "vit_b",
    checkpoint: Annotated[
        Path | None, input_option("--checkpoint", help="SAM's weights, such as sam_vit_b_01ec64.pth.")
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="paper or released_code.")] = "paper",
    no_apg: Annotated[bool, typer.Option("--no-apg", help="Ablation: leave the auto prompt generator out.")] = False,
    no_mlam: Annotated[
        bool, typer.Option("--no-mlam", help="Ablation: leave multi-layer aggregation out; decode the prompt alone.")
    ] = False,
    checkpoint_activations: Annotated[
        bool, typer.Option("--checkpoint-activations", help="Less memory, more work: keep no activations of blocks.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell parameters, FLOPs and memory; needs no data, no -o.")
    ] = False,
    *,
    training: TrainingOptions,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a SAM-adapted 3D teacher and leave a run directory that can be resumed.

    Example: bedside train-teacher data/ --task btcv --checkpoint sam_vit_b_01ec64.pth -o runs/teacher

    Example: bedside train-teacher --task btcv --patch 96 96 96 --dry-run

    Example: bedside train-teacher data/ --task btcv --checkpoint sam_vit_b_01ec64.pth --no-apg -o runs/no-apg
    """
    console = Console(json, quiet)
    resolved = training.task(task)
    recipe = training.recipe(resolved.name, output)
    require("train")
    hardware = training.hardware()
    from ..teacher.config import TeacherConfig

    config = TeacherConfig(
        name=name,
        sam=sam,
        checkpoint=checkpoint,
        preset=preset,
        apg=not no_apg,
        mlam=not no_mlam,
        checkpoint_activations=checkpoint_activations,
    )
    if dry_run:
        from ..teacher.cost import Room, describe

        cost = describe(
            config,
            num_classes=resolved.num_classes,
            patch=resolved.patch_dhw,
            batch=recipe.batch,
            precision=recipe.precision,
        )
        room = Room.at_hand(training.device)
        console.show(*cost.lines(room))
        console.emit(cost.record(room))
        return
    if dataset is None or output is None:
        raise UsageError("train-teacher: give a data set and --output; only --dry-run does without")
    from ..teacher.train import train_teacher

    cases = training.dataset(dataset, resolved)
    with console.stages("preparing cases", "training teacher") as (preparing, learning):
        result = train_teacher(
            cases,
            resolved,
            output,
            config=config,
            recipe=recipe,
            hardware=hardware,
            prepared_cases=training.cases,
            resume=training.resume,
            preparing=preparing,
            progress=learning,
        )
    report_training(console, "teacher", output, result)
