"""`bedside distill`: a small student from a data set and a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..distill.students import STUDENTS
from ..runtime.errors import UsageError
from ..runtime.task import Task
from ..training.runs.run import Run
from .options.dataset import DatasetArgument
from .options.extras import require
from .options.paths import input_option
from .options.training import RunOption, TrainingOptions, report_training, training_console
from .terminal.console import Console


@dataclass(frozen=True, kw_only=True)
class Distill:
    """Train a small student from the truth and a teacher, and leave a run directory that can be resumed.

    Example: bedside distill data/ --teacher runs/teacher --student swinunetr-small --lambda 0.5 -o runs/student
    """

    dataset: DatasetArgument
    output: RunOption
    teacher: Annotated[Path | None, input_option("--teacher", help="Run directory of a trained teacher.")] = None
    student: Annotated[
        str, typer.Option("--student", help=f"{', '.join(STUDENTS.own)}, or one of an installed package.")
    ] = STUDENTS.own[0]
    lam: Annotated[
        float,
        typer.Option(
            "--lambda", min=0.0, max=1.0, help="Weight of the truth; 1 trains without a teacher, the baseline."
        ),
    ] = 0.5
    task: Annotated[str | None, typer.Option("--task", help="Preset or TOML file; needed only without a teacher.")] = (
        None
    )
    training: TrainingOptions
    console: Console

    def __call__(self) -> None:
        """Trains the student."""
        with training_console(self.console) as console:
            self._train(console)

    def _train(self, console: Console) -> None:
        training = self.training
        task = self._task()
        require("train")
        hardware = training.hardware_options.hardware()
        recipe = training.recipe(task.name, self.output)
        from ..distill import distill

        cases = training.data.dataset(self.dataset, task)
        stages = ("preparing cases", "asking the teacher", "training student")
        with console.stages(*stages) as (preparing, teaching, learning):
            result = distill(
                cases,
                self.output,
                student=self.student,
                lam=self.lam,
                teacher=self.teacher,
                task=task,
                recipe=recipe,
                hardware=hardware,
                prepared_cases=training.data.cases,
                resume=training.resume,
                preparing=preparing,
                teaching=teaching,
                progress=learning,
            )
        report_training(console, "student", self.output, result)

    def _task(self) -> Task:
        """Returns the given task with the options' spacing and patch, or else the teacher's."""
        data = self.training.data
        if self.task is not None:
            return data.task(self.task)
        if self.teacher is None:
            raise UsageError("give --teacher, or --task and --lambda 1")
        if data.spacing is not None or data.patch is not None:
            raise UsageError("a student sees what its teacher sees: leave --spacing and --patch out")
        return Run.open(self.teacher).config.task
