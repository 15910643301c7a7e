"""`bedside distill`: a small student from a data set and a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..distill.students import STUDENTS
from ..runtime.errors import UsageError
from ..training.runs.run import Run
from .options.extras import require
from .options.paths import input_option
from .options.training import DatasetArgument, RunOption, TrainingOptions, report_training, with_training_options
from .terminal.console import Console, JsonOption, QuietOption


@with_training_options
def command(
    dataset: DatasetArgument,
    output: RunOption,
    teacher: Annotated[Path | None, input_option("--teacher", help="Run directory of a trained teacher.")] = None,
    student: Annotated[
        str, typer.Option("--student", help=f"{', '.join(STUDENTS.own)}, or one of an installed package.")
    ] = STUDENTS.own[0],
    lam: Annotated[
        float,
        typer.Option(
            "--lambda", min=0.0, max=1.0, help="Weight of the truth; 1 trains without a teacher, the baseline."
        ),
    ] = 0.5,
    task: Annotated[
        str | None, typer.Option("--task", help="Preset or TOML file; needed only without a teacher.")
    ] = None,
    *,
    training: TrainingOptions,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a small student from the truth and a teacher, and leave a run directory that can be resumed.

    Example: bedside distill data/ --teacher runs/teacher --student swinunetr-small --lambda 0.5 -o runs/student
    """
    console = Console(json, quiet)
    if task is not None:
        resolved = training.task(task)
    elif teacher is not None:
        if training.spacing is not None or training.patch is not None:
            raise UsageError("a student sees what its teacher sees: leave --spacing and --patch out")
        resolved = Run.open(teacher).config.task
    else:
        raise UsageError("give --teacher, or --task and --lambda 1")
    recipe = training.recipe(resolved.name, output)
    require("train")
    from ..distill import distill

    hardware = training.hardware()
    cases = training.dataset(dataset, resolved)
    with console.stages("preparing cases", "asking the teacher", "training student") as (preparing, teaching, learning):
        result = distill(
            cases,
            output,
            student=student,
            lam=lam,
            teacher=teacher,
            task=resolved,
            recipe=recipe,
            hardware=hardware,
            prepared_cases=training.cases,
            resume=training.resume,
            preparing=preparing,
            teaching=teaching,
            progress=learning,
        )
    report_training(console, "student", output, result)
