"""`bedside distill`: a small student from a data set and teachers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..distill.defaults import (
    LAMBDA,
    UNLABELLED_SHARE,
    default_lambda,
    default_recipe,
    default_student,
    default_unlabelled_share,
)
from ..distill.locator import locator_task
from ..distill.students.registry import STUDENTS
from ..distill.teacher_task import earlier_task
from ..runtime.errors import UsageError
from ..runtime.task import Task
from ..runtime.task_presets import load_task
from ..training.recipe import Recipe
from .options.cluster import ClusterOptions
from .options.command import arguments_of, last_given, refuse_others, typer_function
from .options.dataset import OptionalDatasetArgument
from .options.extras import require
from .options.imitation import ImitationOptions
from .options.paths import input_option
from .options.ranks import only_first_reports_usage
from .options.recipe import changed_defaults
from .options.sweep import SweepOptions, check_not_launched
from .options.training import OptionalRunOption, TrainingOptions, report_training, training_console
from .terminal.console import Advance, Console

if TYPE_CHECKING:
    from ..training.data.dataset import Dataset

_LIST = "list"  # as --student: the table of students
_LISTED_TASK = "btcv"  # whose number of classes the table is for, unless --task names another


@dataclass(frozen=True, kw_only=True)
class Distill:
    """Train a small student from the truth and from teachers, and leave a run directory that can be resumed.

    Example: bedside distill data/ --teacher runs/teacher --student swinunetr-small --lambda 0.5 -o runs/student

    Example: bedside distill data/ --teacher runs/a --teacher runs/b --unlabelled scans/ --student unet-nano -o runs/s

    With --locator it trains a small network on a coarse grid that says where the organs are; bedside export --locator
    adds it to a student's bundle, which then leaves out windows without organs.

    Example: bedside distill data/ --teacher nnunet.bedside --student unet-edge-tiny -o runs/small

    Example: bedside distill --student list

    Example: bedside distill data/ --teacher runs/teacher --sweep-lambda 0,0.2,0.5,0.8,1 --seeds 3 -o runs/sweep

    Example: bedside distill data/ --task btcv --locator -o runs/locator
    """

    dataset: OptionalDatasetArgument = None
    output: OptionalRunOption = None
    teacher: Annotated[
        list[Path] | None,
        input_option(
            "--teacher",
            metavar="<path>",
            help="Run directory of a trained network, a teacher's or a student's, or a bundle; may be given several "
            "times: the mean of their probabilities teaches.",
        ),
    ] = None
    student: Annotated[
        str | None,
        typer.Option(
            "--student",
            help=f"{', '.join(STUDENTS.own)}, or one of an installed package; {_LIST} only shows what each costs and "
            "needs no data, no -o. Another student may have another recipe: see --student NAME --help.",
            show_default=f"{default_student()}; {default_student(locator=True)} with --locator",
        ),
    ] = None
    locator: Annotated[
        bool, typer.Option("--locator", help="Train a locator: at 6 mm and 48³ voxels, unless options say otherwise.")
    ] = False
    lam: Annotated[
        float | None,
        typer.Option(
            "--lambda",
            min=0.0,
            max=1.0,
            help="Weight of the truth; 1 trains without a teacher, the baseline.",
            show_default=f"{LAMBDA:g}; 1 with --init or --locator alone",
        ),
    ] = None
    task: Annotated[
        str | None, typer.Option("--task", help="Preset or TOML file; needed only without --teacher and --init.")
    ] = None
    init: Annotated[
        Path | None,
        input_option(
            "--init",
            help="Earlier run of this student, or its bundle (export --trainable): training starts from its weights.",
        ),
    ] = None
    imitation_options: ImitationOptions
    sweep: SweepOptions
    cluster: ClusterOptions
    training: TrainingOptions
    console: Console

    def __call__(self) -> None:
        """Trains the student, or one for each λ and seed of a sweep, or lists the students."""
        with training_console(self.console) as console:
            if self.student == _LIST:
                self._list(console)
                return
            if self.dataset is None or self.output is None:
                raise UsageError(f"distill: give a data set and --output; only --student {_LIST} does without")
            if self.locator and self.sweep.sweep_lambda is not None:
                raise UsageError("--sweep-lambda compares students: leave --locator out")
            lambdas = self.sweep.lambdas(self.lam, self.training.hardware_options)
            if not lambdas and self.cluster.cluster is not None:
                raise UsageError("--cluster goes with --sweep-lambda; start one training by the cluster's own command")
            self.cluster.check()
            self.imitation_options.check(None if lambdas else self._lam)
            if lambdas:
                self._sweep(self.dataset, self.output, lambdas, console)
            else:
                self._train(self.dataset, self.output, console)

    def _list(self, console: Console) -> None:
        training = replace(self.training, data=replace(self.training.data, patch=None))
        used = replace(self, student=None, task=None, training=training, console=Console())
        refuse_others(f"--student {_LIST}", used)
        require("train")
        from .tables.students import list_students

        data = self.training.data
        list_students(data.task(self.task or _LISTED_TASK).num_classes, data.patch, console)

    def _train(self, dataset: Path, output: Path, console: Console) -> None:
        task, training, imitation = self._task(), self.training, self.imitation_options
        require("train")
        hardware = training.hardware_options.hardware()
        cases = self._cases(dataset, task)
        recipe = self._recipe(task, cases, output)
        from ..distill import distill

        stages = ("preparing cases", "asking the teacher", "training student")
        with console.stages(*stages) as (preparing, teaching, learning):
            result = distill(
                cases,
                output,
                student=self._student,
                lam=self._lam,
                teacher=self._teachers,
                task=task,
                recipe=recipe,
                imitation=imitation.imitation,
                targets=imitation.teacher_targets,
                pseudo_labels=imitation.pseudo_labels,
                init=self.init,
                hardware=hardware,
                prepared_cases=training.data.cases,
                resume=training.resume,
                locator=self.locator,
                preparing=preparing,
                teaching=teaching,
                progress=learning,
            )
        report_training(console, "locator" if self.locator else "student", output, result)

    def _sweep(self, dataset: Path, output: Path, lambdas: Sequence[float], console: Console) -> None:
        if not self._teachers and min(lambdas) < 1:
            raise UsageError("λ below 1 needs a teacher: give --teacher, or --sweep-lambda 1")
        task, training, sweep = self._task(), self.training, self.sweep
        require("train")
        training.hardware_options.hardware()
        check_not_launched()
        cases = self._cases(dataset, task)
        recipe = self._recipe(task, cases, output)
        from ..distill.option_checks import check_distillation

        imitation, least = self.imitation_options, min(lambdas)
        if least < 1:  # refused once, not by every training with a λ below 1
            given = {"pseudo_labels": imitation.pseudo_labels, "online": imitation.teacher_targets == "online"}
            check_distillation(cases, task, self._student, self._teachers, least, recipe.unlabelled, **given)
        # λ = 1 draws no crops from scans without labels, and is to make as many steps as the others.
        steps = recipe.steps(len(cases.training)) if recipe.unlabelled else recipe.steps_per_epoch
        from ..distill.sweep.report import summary
        from ..distill.sweep.sweep import SweepFailedError, sweep_lambda
        from ..runtime.engines import default_threads

        threads = max(1, default_threads() // sweep.at_a_time)
        cluster = self.cluster.requested(jobs=sweep.at_a_time, threads=threads, folder=output)
        with ExitStack() as shown:

            @cache
            def bar() -> Advance:  # not before the trainings have ended, which show their own
                return shown.enter_context(console.progress("scoring runs"))

            results = sweep_lambda(
                cases,
                output,
                lambdas=lambdas,
                seeds=sweep.numbered(recipe.seed),
                arguments=self._shared_arguments(steps),
                jobs=sweep.at_a_time,
                resume=training.resume,
                epochs=training.recipe_options.epochs,
                device=training.hardware_options.device,
                started=lambda name, number, total: console.info(f"training {name}, {number} of {total}"),
                scoring=lambda done, total: bar()(done, total),
                cluster=cluster,
            )
        console.finished(f'the table in "{output.name}" is written')
        console.show(summary(results))
        console.emit({"folder": str(output), **results.to_dict()})
        if results.failed:
            raise SweepFailedError(results.failed)

    def _shared_arguments(self, steps_per_epoch: int | None) -> list[str]:
        """Returns the arguments that all trainings of a sweep have, as this call gives them."""
        recipe = replace(self.training.recipe_options, seed=None, steps_per_epoch=steps_per_epoch)
        training = replace(self.training, resume=False, recipe_options=recipe)
        several = self.sweep.at_a_time > 1 or self.cluster.cluster is not None  # their progress bars would mix
        console = Console(quiet=self.console.quiet or several)
        single = replace(self, lam=None, sweep=SweepOptions(), cluster=ClusterOptions())
        return arguments_of(replace(single, training=training, console=console))

    @property
    def _student(self) -> str:
        return self.student or default_student(locator=self.locator)

    @property
    def _lam(self) -> float:
        if self.lam is not None:
            return self.lam
        return default_lambda(taught=bool(self._teachers), locator=self.locator, init=self.init is not None)

    @property
    def _teachers(self) -> Sequence[Path]:
        return self.teacher or ()

    def _cases(self, dataset: Path, task: Task) -> Dataset:
        """Reads the data set, with the scans of ``--unlabelled``."""
        from ..training.data.unlabelled import with_unlabelled, without_known

        cases = without_known(self.training.data.dataset(dataset, task.labels))
        folder = self.imitation_options.unlabelled
        return cases if folder is None else with_unlabelled(cases, folder)

    def _recipe(self, task: Task, cases: Dataset, output: Path) -> Recipe:
        import msgspec

        imitation = self.imitation_options
        recipe = self.training.recipe(task, output, default_recipe(self._student, locator=self.locator))
        share = imitation.unlabelled_share
        if share is None and imitation.unlabelled is not None:
            share = UNLABELLED_SHARE  # of a folder that was asked for; `distill` refuses it if it can teach nothing
        elif share is None:
            taught, pseudo_labels = bool(self._teachers), imitation.pseudo_labels
            share = default_unlabelled_share(cases, self._lam, taught=taught, pseudo_labels=pseudo_labels)
        return msgspec.structs.replace(recipe, unlabelled=share)

    def _task(self) -> Task:
        """Returns the given task with the options' spacing and patch, or that of the first teacher or earlier student.

        A locator has a coarse grid of its own, unless it starts from an earlier one.
        """
        data = self.training.data
        if self.task is not None:
            task = load_task(self.task)
            return data.changed(locator_task(task) if self.locator else task)
        teacher = self._teachers[0] if self._teachers else None
        task = earlier_task(teacher, self.init, self._student, locator=self.locator, patch=data.patch)
        if task is None:
            alone = self.locator or self.lam == 1 or self.sweep.sweep_lambda is not None
            raise UsageError("give --teacher, or --task" + ("" if alone else " and --lambda 1"))
        return data.changed(task)


def distill_command(arguments: Sequence[str]) -> Callable[..., None]:
    """Returns the function of the command; its help shows the recipe of the student that the arguments name.

    Raises:
        UsageError: no student has this name.
    """
    locator = "--locator" in arguments
    student = last_given(arguments, "--student", default_student(locator=locator))
    with only_first_reports_usage():
        recipe = Recipe() if student == _LIST else default_recipe(student, locator=locator)
        return typer_function(Distill, changed_defaults(recipe))
