"""`bedside demo`: every step on phantoms, from training to a report."""

from __future__ import annotations

import json as json_module
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...runtime.errors import BedsideError, ExitCode, UsageError
from ...runtime.files.atomic import atomic_write
from ..options.extras import require
from ..options.paths import input_option, output_option
from ..terminal.console import Console

if TYPE_CHECKING:
    from .results import DemoResults
    from .stages import DemoPlan

EXPECTED_DICE, EXPECTED_GAIN = 0.55, 0.03  # on phantoms
LARGE_ORGANS = ("liver", "stomach", "spleen", "kidney_right", "kidney_left")  # the larger five of a phantom
MISSED_DICE = 0.1  # below it an organ counts as missed
_PHANTOM_TASK, _PHANTOMS, _LABELLED_PHANTOMS = "btcv", 56, 1


class DemoReviewError(BedsideError):
    """The demo ran, but the distilled student is not as good as expected."""

    exit_code = ExitCode.REVIEW


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Show on phantoms that distillation pays: a student with few labels, alone and with a teacher, as a bundle.

    Needs no data, no network and no GPU; under eight minutes on two cores. What an earlier demo left in the folder is
    replaced; any other folder with content is refused. With --data it tells the same story on scans of your own: a
    teacher learns from most of the labels, the student has the rest. Every case is checked before anything is replaced
    or trained.

    Example: bedside demo -o demo

    Example: bedside demo --data data/ --task btcv --teacher-epochs 400 --student-epochs 300 -o demo
    """

    output: Annotated[Path, output_option("--output", "-o", help="Folder to write.")] = Path("demo")
    data: Annotated[Path | None, input_option("--data", help="Data set to use in place of phantoms; needs --task.")] = (
        None
    )
    task: Annotated[
        str | None, typer.Option("--task", help="Preset or TOML file of the data set's task; only with --data.")
    ] = None
    cases: Annotated[
        int | None,
        typer.Option("--cases", min=6, help="Number of phantoms; not with --data.", show_default=str(_PHANTOMS)),
    ] = None
    labelled: Annotated[
        int | None,
        typer.Option(
            "--labelled",
            min=1,
            help="Labelled scans of the student; the teacher has the others.",
            show_default=f"{_LABELLED_PHANTOMS} phantom, or a fifth of the data set's",
        ),
    ] = None
    teacher_epochs: Annotated[int, typer.Option("--teacher-epochs", min=1, help="Epochs of the teacher.")] = 60
    student_epochs: Annotated[int, typer.Option("--student-epochs", min=1, help="Epochs of each student.")] = 50
    steps: Annotated[int, typer.Option("--steps-per-epoch", min=1, help="Steps per epoch.")] = 10
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of phantoms and trainings.")] = 7
    console: Console

    def __call__(self) -> None:
        """Runs the demo."""
        console = self.console
        if (self.data is None) != (self.task is None):
            raise UsageError("expected --data and --task together, or neither for phantoms")
        if self.data is not None and self.cases is not None:
            raise UsageError("--cases is the number of phantoms: leave it out with --data")
        require("train", "export", "report")

        from .folder import BUNDLE, check_folder, prepare_folder
        from .report import write_report
        from .results import collect
        from .stages import run_stages

        check_folder(self.output)
        plan = self._plan()  # refuses its input before an earlier demo is removed
        prepare_folder(self.output)
        finished = run_stages(self.output, plan, console)
        with console.progress("scoring unseen scans") as advance:
            results = collect(self.output, finished, advance)
        report = write_report(self.output / "report.html", results)
        _write_results(self.output / "results.json", results)
        console.finished(f'the report "{report.name}" and the bundle in "{self.output.name}" are written')
        alone, distilled, small = (results.mean_dice(model) for model in ("baseline", "fp32", "int8"))
        console.show(
            f"Mean Dice on {len(results.scans)} unseen scans: student alone {alone:.2f}, distilled {distilled:.2f} "
            f"({100 * results.gain:+.0f} points), in int8 ({results.bundle_megabytes('int8'):.1f} MB) {small:.2f}; "
            f"teacher {results.mean_dice('teacher'):.2f}.",
            *(["Phantoms prove the chain, not clinical use."] if self.data is None else []),
            f"Read {report}",
        )
        console.emit(
            {
                "report": str(report),
                "bundle": str(self.output / BUNDLE),
                "dice": {model: results.mean_dice(model) for model in results.dice},
                "gain": results.gain,
            }
        )
        _check(results, phantoms=self.data is None)

    def _plan(self) -> DemoPlan:
        """Returns what to train on what; raises if there are too few phantoms, or as `divided_data` does."""
        from .stages import DemoPlan, Phantoms

        if self.data is None or self.task is None:
            scans = Phantoms(self.cases or _PHANTOMS, self.labelled or _LABELLED_PHANTOMS)
            scans.check()
        else:
            from .own_data import divided_data

            with self.console.progress("checking cases") as advance:
                scans = divided_data(self.data, self.task, self.output, self.labelled, self.seed, advance)
        epochs = self.teacher_epochs, self.student_epochs
        return DemoPlan(scans, self.task or _PHANTOM_TASK, *epochs, self.steps, self.seed)


def _check(results: DemoResults, *, phantoms: bool) -> None:
    """Refuses a distilled student that is no better than the student alone, or on phantoms not as good as expected."""
    dice, needed = results.mean_dice("fp32"), EXPECTED_GAIN if phantoms else 0.0
    if not results.gain >= needed:
        raise DemoReviewError(
            f"expected the distilled student to gain {needed:.2f} Dice or more over the student alone, got "
            f"{results.gain:+.2f}; train the teacher longer with --teacher-epochs"
        )
    if phantoms and not dice >= EXPECTED_DICE:
        raise DemoReviewError(
            f"expected the distilled student to reach a mean Dice of {EXPECTED_DICE:.2f}, got {dice:.2f}; "
            "train longer with --teacher-epochs and --student-epochs"
        )
    if phantoms and (missed := [organ for organ in LARGE_ORGANS if not results.dice["fp32"][organ] >= MISSED_DICE]):
        raise DemoReviewError(
            f"expected the distilled student to find every large organ, with a Dice of {MISSED_DICE:.2f} or more, it "
            f"misses: {', '.join(missed)}; train longer with --teacher-epochs and --student-epochs"
        )


def _write_results(path: Path, results: DemoResults) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json_module.dumps(results.to_dict(), indent=1), encoding="utf-8")
