"""`bedside train-teacher`: a SAM-adapted 3D teacher from a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ..runtime.errors import UsageError
from ..teacher import TEACHERS, teacher_config
from .options.extras import require
from .options.teacher_family import DEFAULT, command_by_family, with_family_options, with_recipe_defaults
from .options.training import DATASET, RUN, TrainingOptions, report_training, with_training_options
from .terminal.console import Console, JsonOption, QuietOption


def train(
    dataset: Annotated[Path | None, DATASET] = None,
    output: Annotated[Path | None, RUN] = None,
    task: Annotated[str, typer.Option("--task", help="Preset (btcv, amos-ct, …) or a TOML file.")] = "btcv",
    name: Annotated[
        str,
        typer.Option(
            "--name",
            help=f"Teacher family: {', '.join(TEACHERS.own)}, or one of an installed package. "
            "Another family has other options: see --name FAMILY --help.",
        ),
    ] = DEFAULT,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell parameters, FLOPs and memory; needs no data, no -o.")
    ] = False,
    *,
    options: dict[str, Any],
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
    recipe = training.recipe(resolved.name, output, TEACHERS.find(name).recipe)
    require("train")
    hardware = training.hardware()
    config = teacher_config(name, **options)
    if dry_run:
        from ..teacher.cost import DeviceMemory, predict_cost

        cost = predict_cost(
            config,
            num_classes=resolved.num_classes,
            patch=resolved.patch_dhw,
            batch=recipe.batch,
            precision=recipe.precision,
        )
        device = DeviceMemory.available(training.device)
        console.show(*cost.lines(device))
        console.emit(cost.record(device))
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


def command_of(family: str) -> Callable[..., None]:
    """Returns the command with the options of a teacher family.

    Raises:
        UsageError: no family has this name.
    """
    training = with_training_options(with_family_options(train, family))
    return with_recipe_defaults(training, TEACHERS.find(family).recipe)


command = command_of(DEFAULT)
Command = command_by_family(command_of)
