"""The commands of the demo in their order; a user could type each of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import ExitCode, UsageError
from ...runtime.task_presets import load_task
from ...training.phantoms.phantom import training_cases
from ..terminal.console import Console
from .child_command import Stage, run_stage
from .divide import PREDICTIONS, DividedData, Division, divide
from .folder import BUNDLE, GATE_PAGE

TEACHER, STUDENT = "unet-edge-base", "unet-edge-small"
_PHANTOM_GRID = ("--spacing", 5, 5, 5, "--patch", 64, 64, 32)
# No flips and turns: a training of minutes is too short to see organs in other positions, with one label or many.
# No class offsets: of a student that found few organs they would say more about the eight phantoms that choose them.
_TRAINING = (
    "--batch", 2, "--positive", 0.7, "--balance-classes", "--loss", "balanced-dice-ce", "--flip", 0, "--rotate", 0,
    "--no-class-offsets", "--device", "cpu", "--validate-every", 10,
)  # fmt: skip
# A student that learned little may fail at the gate in int8: no minutes for its layers, and the report compares int8.
_QUICK_EXPORT = ("--keep-failed", "--int8-search", 0)


@dataclass(frozen=True)
class Phantoms:
    """The phantoms that the demo makes.

    Attributes:
        cases: number of phantoms.
        labelled: labelled phantoms of the student.
    """

    cases: int
    labelled: int

    @property
    def listed(self) -> int:
        """Number of training phantoms with labels: the teacher's, which are half of all, and the student's."""
        return training_cases(self.cases) // 2 + self.labelled

    def check(self) -> None:
        """Checks that there are training phantoms enough.

        Raises:
            UsageError: the student wants more labels than the teacher leaves.
        """
        training = training_cases(self.cases)
        most = training - training // 2
        if not 1 <= self.labelled <= most:
            raise UsageError(
                f"of {self.cases} phantoms {training} are for training, half of them with labels for the teacher; "
                f"expected 1 to {most} for the student, got {self.labelled}; change --labelled, or --cases"
            )


@dataclass(frozen=True)
class DemoPlan:
    """What the demo trains, and on what.

    Attributes:
        scans: the phantoms to make, or the division of the user's data set.
        task: preset or TOML file of the task.
        teacher_epochs: epochs of the teacher.
        student_epochs: epochs of each student.
        steps: optimiser steps per epoch.
        seed: seed of phantoms, of the division of the labels, and of the trainings.
    """

    scans: Phantoms | Division
    task: str
    teacher_epochs: int
    student_epochs: int
    steps: int
    seed: int

    @property
    def grid(self) -> tuple[object, ...]:
        """Options for the task and its grid: phantoms are trained on a coarse one, within minutes."""
        return ("--task", self.task, *(_PHANTOM_GRID if isinstance(self.scans, Phantoms) else ()))


@dataclass(frozen=True)
class Finished:
    """What `run_stages` did.

    Attributes:
        stages: the commands that ran; the last is the benchmark, with its JSON.
        data: the lists of teacher and student.
        phantoms: whether the scans are phantoms.
    """

    stages: tuple[Stage, ...]
    data: DividedData
    phantoms: bool


def run_stages(out: Path, plan: DemoPlan, console: Console) -> Finished:
    """Runs the commands of the demo, from phantoms to a benchmark.

    Args:
        out: the demo's folder.
        plan: what it trains, and on what.
        console: where the commands are shown.

    Raises:
        StageFailedError: a command failed.
        ResourceError: the folder cannot be written.
    """
    stages: list[Stage] = []

    def run(title: str, command: str, *options: object) -> None:
        arguments = (command, *map(str, options))
        console.info(f"\n{len(stages) + 1}. {title}\n   bedside {' '.join(arguments)}")
        quiet = ("-q",) if console.quiet else ()
        accept = (ExitCode.OK, ExitCode.REVIEW) if command in ("segment", "export") else (ExitCode.OK,)
        stages.append(run_stage(title, (*arguments, *quiet), accept=accept))

    division = plan.scans
    if isinstance(division, Phantoms):
        made = ("--cases", division.cases, "--labelled", division.listed, "--seed", plan.seed)
        run("Make phantoms", "phantom", out / "data", *made)
        division = divide(out / "data", load_task(plan.task), division.labelled, plan.seed)
    data = division.write(out)
    console.info(
        f"\nThe teacher gets {data.teacher_cases} labelled scans; the student {data.labelled} labelled, "
        f"{data.unlabelled} without labels"
    )
    bundle, predictions = out / BUNDLE, out / PREDICTIONS
    training = ("--steps-per-epoch", plan.steps, "--seed", plan.seed, *_TRAINING)
    alone = ("--lambda", 1, *plan.grid)
    student = ("--student", STUDENT, *_epochs(plan.student_epochs), *training)

    def train(title: str, cases: Path, run_folder: str, *options: object) -> None:
        run(title, "distill", cases, *options, "-o", out / run_folder)

    teacher = ("--student", TEACHER, *_epochs(plan.teacher_epochs), *training)
    train("Train the teacher", data.teacher, "teacher", *alone, *teacher)
    distilled = ("--teacher", out / "teacher", "--lambda", 1, "--pseudo-labels")
    train("Distil a student from the teacher", data.student, "student", *distilled, *student)
    train("Train the same student alone", data.student, "baseline", *alone, *student)
    files = ("-o", bundle, "--page", out / GATE_PAGE)
    run("Export and quantize", "export", out / "student", *files, "--calibration", data.student, *_QUICK_EXPORT)
    for precision in ("fp32", "int8"):
        labels = predictions / precision
        title = f"Segment the unseen scans in {precision}"
        run(title, "segment", bundle, "-i", data.unseen, "-o", labels, "--precision", precision, "--json")
    run("Benchmark this machine", "benchmark", bundle, "-i", data.scans[0].image, "--seconds", 1, "--json")
    return Finished(tuple(stages), data, phantoms=isinstance(plan.scans, Phantoms))


def _epochs(epochs: int) -> tuple[object, ...]:
    """Returns the options for epochs and warm-up: one warm-up epoch, or none if that were the whole training."""
    return "--epochs", epochs, "--warmup", min(1, epochs - 1)
