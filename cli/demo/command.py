"""`bedside demo`: every step on phantoms, from training to a report."""

from __future__ import annotations

import json as json_module
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...runtime.errors import BedsideError, ExitCode
from ...runtime.files.atomic import atomic_write
from ..options.extras import require
from ..options.paths import output_option
from ..terminal.console import Console
from .folder import prepare_folder
from .stages import run_stages

if TYPE_CHECKING:
    from .results import DemoResults

EXPECTED_DICE = 0.70


class DemoReviewError(BedsideError):
    """The demo ran, but the student's mean Dice over the larger organs is below `EXPECTED_DICE`."""

    exit_code = ExitCode.REVIEW


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Run every step on phantoms: teacher, student with and without it, bundle, label maps, benchmark, report.

    Needs no data, no network and no GPU; under ten minutes on two cores. What an earlier demo left in the folder is
    replaced; any other folder with content is refused.

    Example: bedside demo -o demo
    """

    output: Annotated[Path, output_option("--output", "-o", help="Folder to write.")] = Path("demo")
    cases: Annotated[int, typer.Option("--cases", min=6, help="Number of phantoms.")] = 24
    teacher_epochs: Annotated[int, typer.Option("--teacher-epochs", min=1, help="Epochs of the teacher.")] = 22
    student_epochs: Annotated[int, typer.Option("--student-epochs", min=1, help="Epochs of each student.")] = 44
    steps: Annotated[int, typer.Option("--steps-per-epoch", min=1, help="Steps per epoch.")] = 10
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of phantoms and trainings.")] = 7
    console: Console

    def __call__(self) -> None:
        """Runs the demo."""
        console = self.console
        require("train", "export", "report")
        prepare_folder(self.output)
        stages = run_stages(
            self.output, self.cases, self.teacher_epochs, self.student_epochs, self.steps, self.seed, console
        )

        from .report import write_report
        from .results import LARGER_ORGANS, collect

        with console.progress("scoring unseen phantoms") as advance:
            results = collect(self.output, stages, advance)
        report = write_report(self.output / "report.html", results)
        _write_results(self.output / "results.json", results)
        console.finished(f'the report "{report.name}" and the bundle in "{self.output.name}" are written')
        mean, teachers_mean = (results.mean_dice(model, LARGER_ORGANS) for model in ("int8", "teacher"))
        size = results.bundle_megabytes("int8")
        console.show(
            f"The student (int8, {size:.0f} MB) finds the larger organs of {results.unseen} unseen phantoms with mean "
            f"Dice {mean:.2f}; its teacher {teachers_mean:.2f}.",
            f"Phantoms prove the chain, not clinical use. Read {report}",
        )
        console.emit(
            {"report": str(report), "bundle": str(self.output / "student.bedside"), "dice_larger_organs": mean}
        )
        if not mean >= EXPECTED_DICE:
            raise DemoReviewError(
                f"expected the student to reach Dice {EXPECTED_DICE:.2f} over the larger organs, got {mean:.2f}; "
                "train longer with --teacher-epochs and --student-epochs"
            )


def _write_results(path: Path, results: DemoResults) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json_module.dumps(results.to_dict(), indent=1), encoding="utf-8")
