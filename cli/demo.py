"""`bedside demo`: the whole way on phantoms, from nothing to a report."""

from __future__ import annotations

import json as json_module
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.errors import BedsideError, ExitCode, ResourceError, UsageError
from ..runtime.files.atomic import atomic_write
from .console import Console, JsonOption, QuietOption
from .extras import require
from .stages import Stage, run_stage

if TYPE_CHECKING:
    from .demo_results import DemoResults

# The organs the AutoSAM Adapter paper calls large (appendix 7.1).
LARGER_ORGANS = ("spleen", "kidney_right", "kidney_left", "liver", "stomach")
EXPECTED_DICE = 0.70

_MADE = (
    "data", "bedside-cases", "teacher", "student", "baseline", "student.bedside", "predictions", "report.html",
    "results.json",
)  # fmt: skip
_MARKER = ".bedside-demo"  # in a folder that is the demo's own
_GRID = ("--spacing", "5", "5", "5", "--patch", "64", "64", "32")
_TRAINING = ("--batch", "2", "--positive", "0.7", "--balance-classes", "--device", "cpu")


class DemoReviewError(BedsideError):
    """The demo ran, but the student did not learn what it should have."""

    exit_code = ExitCode.REVIEW


def command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to fill.")] = Path("demo"),
    cases: Annotated[int, typer.Option("--cases", min=6, help="Number of phantoms.")] = 24,
    teacher_epochs: Annotated[int, typer.Option("--teacher-epochs", min=1, help="Epochs of the teacher.")] = 22,
    student_epochs: Annotated[int, typer.Option("--student-epochs", min=1, help="Epochs of each student.")] = 36,
    steps: Annotated[int, typer.Option("--steps-per-epoch", min=1, help="Steps per epoch.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything.")] = 7,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Go the whole way on phantoms: teacher, student with and without it, bundle, label maps, benchmark, report.

    Needs no data, no network and no GPU; a few minutes on two cores. What an earlier demo left in the folder is
    replaced; any other folder with content is refused.

    Example: bedside demo -o demo
    """
    console = Console(json, quiet)
    require("train", "export", "report")
    _clear(output)
    stages = _stages(output, cases, teacher_epochs, student_epochs, steps, seed, console)

    from .demo_results import collect
    from .report import write_report

    with console.progress("scoring unseen phantoms") as advance:
        results = collect(output, stages, advance)
    report = write_report(output / "report.html", results)
    _write_results(output / "results.json", results)
    mean = results.mean_dice("int8", LARGER_ORGANS)
    console.show(
        f"The student (int8, {results.bundle_megabytes('int8'):.0f} MB) finds the larger organs of {results.unseen} "
        f"unseen phantoms with mean Dice {mean:.2f}; its teacher {results.mean_dice('teacher', LARGER_ORGANS):.2f}.",
        f"Phantoms prove the chain, not clinical use. Read {report}",
    )
    console.emit({"report": str(report), "bundle": str(output / "student.bedside"), "dice_larger_organs": mean})
    if not mean >= EXPECTED_DICE:
        raise DemoReviewError(
            f"expected the student to reach Dice {EXPECTED_DICE:.2f} over the larger organs, got {mean:.2f}; "
            "train longer with --teacher-epochs and --student-epochs"
        )


def _clear(output: Path) -> None:
    """Makes the folder, or removes what an earlier demo made in it, and nothing else."""
    try:
        _check_ours(output)
        output.mkdir(parents=True, exist_ok=True)
        (output / _MARKER).touch()
        for path in (*(output / name for name in _MADE), *output.glob(".bedside-*")):
            if path.name != _MARKER:
                _remove(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ResourceError(f'"{output}": cannot be written ({reason}); choose another folder with -o') from error


def _check_ours(output: Path) -> None:
    """Refuses a file, and a folder with content that no demo has marked as its own."""
    if output.exists() and not output.is_dir():
        raise UsageError(f'"{output}" is a file; expected a folder')
    there = sorted(path.name for path in output.iterdir()) if output.is_dir() else []
    if there and not (output / _MARKER).is_file():
        names = ", ".join(f'"{name}"' for name in there[:3]) + (", ..." if len(there) > 3 else "")
        raise UsageError(f'"{output}" is no earlier demo\'s folder, it holds {names}; choose a new folder with -o')


def _remove(path: Path) -> None:
    """Removes a file, a folder or a link; what a link leads to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _stages(
    out: Path, cases: int, teacher_epochs: int, student_epochs: int, steps: int, seed: int, console: Console
) -> list[Stage]:
    """Runs the commands of the demo; each is one a user could type."""
    data, bundle, predictions = str(out / "data"), str(out / "student.bedside"), out / "predictions"
    learning = ("--steps-per-epoch", str(steps), "--validate-every", "8", "--seed", str(seed), *_TRAINING)
    student = ("--student", "unet-nano", "--lr", "0.003", *_length(student_epochs), *learning)
    task = ("--task", "btcv", *_GRID)
    stages: list[Stage] = []

    def run(title: str, *words: str) -> Stage:
        console.info(f"\n{len(stages) + 1}. {title}\n   bedside {' '.join(words)}")
        extra = ("-q",) if console.quiet else ()
        accept = (ExitCode.OK, ExitCode.REVIEW) if words[0] == "segment" else (ExitCode.OK,)
        stage = run_stage(title, (*words, *extra), accept=accept)
        stages.append(stage)
        return stage

    run("Make phantoms", "phantom", data, "--cases", str(cases), "--seed", str(seed))
    run(
        "Train the teacher", "train-teacher", data, *task, "--sam", "vit_nano", "--lr", "0.002",
        *_length(teacher_epochs), *learning, "-o", str(out / "teacher"),
    )  # fmt: skip
    run("Distil a student from it", "distill", data, "--teacher", str(out / "teacher"), "--lambda", "0.5", *student,
        "-o", str(out / "student"))  # fmt: skip
    run("Train the same student without it", "distill", data, *task, "--lambda", "1", *student,
        "-o", str(out / "baseline"))  # fmt: skip
    run("Export and quantize", "export", str(out / "student"), "-o", bundle, "--calibration", data)
    for scan in sorted((out / "data" / "imagesTs").glob("*.nii.gz")):
        for precision in ("fp32", "int8"):
            (predictions / precision).mkdir(parents=True, exist_ok=True)
            run(f"Segment {scan.name.removesuffix('.nii.gz')} in {precision}", "segment", bundle, "-i", str(scan),
                "-o", str(predictions / precision / scan.name), "--precision", precision, "--json")  # fmt: skip
    scan = sorted((out / "data" / "imagesTs").glob("*.nii.gz"))[0]
    run("Benchmark this machine", "benchmark", bundle, "-i", str(scan), "--seconds", "1", "--json")
    return stages


def _length(epochs: int) -> tuple[str, ...]:
    """The warm-up is one epoch, and none where that would be the whole training."""
    return "--epochs", str(epochs), "--warmup", str(min(1, epochs - 1))


def _write_results(path: Path, results: DemoResults) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json_module.dumps(results.to_dict(), indent=1), encoding="utf-8")
