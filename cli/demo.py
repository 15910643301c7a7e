"""`bedside demo`: the whole way on phantoms, from nothing to a report."""

from __future__ import annotations

import json as json_module
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..runtime.errors import BedsideError, ExitCode, UsageError
from .console import Console, JsonOption, QuietOption
from .stages import Stage, run_stage

# The organs the AutoSAM Adapter paper calls large (appendix 7.1).
LARGER_ORGANS = ("spleen", "kidney_right", "kidney_left", "liver", "stomach")
EXPECTED_DICE = 0.70

_MADE = ("data", "teacher", "student", "baseline", "student.bedside", "predictions", "report.html", "results.json")
_GRID = ("--spacing", "5", "5", "5", "--patch", "64", "64", "32")
_TRAINING = ("--batch", "2", "--positive", "0.7", "--balance-classes", "--warmup", "1", "--device", "cpu")


class DemoReviewError(BedsideError):
    """The demo ran, but the student did not learn what it should have."""

    exit_code = ExitCode.REVIEW


def command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to fill.")] = Path("demo"),
    cases: Annotated[int, typer.Option("--cases", min=6, help="Number of phantoms.")] = 24,
    teacher_epochs: Annotated[int, typer.Option("--teacher-epochs", min=1, help="Epochs of the teacher.")] = 24,
    student_epochs: Annotated[int, typer.Option("--student-epochs", min=1, help="Epochs of each student.")] = 32,
    steps: Annotated[int, typer.Option("--steps-per-epoch", min=1, help="Steps per epoch.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything.")] = 7,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Go the whole way on phantoms: teacher, student with and without it, bundle, label maps, benchmark, report.

    Needs no data, no network and no GPU; a few minutes on two cores. What an earlier demo left in the folder is
    replaced.

    Example: bedside demo -o demo
    """
    console = Console(json, quiet)
    _clear(output)
    stages = _stages(output, cases, teacher_epochs, student_epochs, steps, seed, console)

    from .demo_results import collect
    from .report import write_report

    with console.progress("scoring unseen phantoms") as advance:
        results = collect(output, stages, advance)
    report = write_report(output / "report.html", results)
    (output / "results.json").write_text(json_module.dumps(results.to_dict(), indent=1), encoding="utf-8")
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
    """Removes what an earlier demo made, and nothing else."""
    if output.exists() and not output.is_dir():
        raise UsageError(f'"{output}" is a file; expected a folder')
    foreign = sorted(path.name for path in output.iterdir() if path.name not in _MADE) if output.is_dir() else []
    if foreign:
        raise UsageError(f'"{output}" holds other things (such as "{foreign[0]}"); choose a new folder with -o')
    for name in _MADE:
        path = output / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    output.mkdir(parents=True, exist_ok=True)


def _stages(
    out: Path, cases: int, teacher_epochs: int, student_epochs: int, steps: int, seed: int, console: Console
) -> list[Stage]:
    """Runs the commands of the demo; each is one a user could type."""
    data, bundle, predictions = str(out / "data"), str(out / "student.bedside"), out / "predictions"
    learning = ("--steps-per-epoch", str(steps), "--validate-every", "8", "--seed", str(seed), *_TRAINING)
    student = ("--student", "unet-nano", "--lr", "0.003", "--epochs", str(student_epochs), *learning)
    task = ("--task", "btcv", *_GRID)
    stages: list[Stage] = []

    def run(title: str, *words: str) -> Stage:
        console.info(f"\n{len(stages) + 1}. {title}\n   bedside {' '.join(words)}")
        extra = ("-q",) if console.quiet else ()
        stage = run_stage(title, (*words, *extra), accept=(ExitCode.OK, ExitCode.REVIEW))
        stages.append(stage)
        return stage

    run("Make phantoms", "phantom", data, "--cases", str(cases), "--seed", str(seed))
    run(
        "Train the teacher", "train-teacher", data, *task, "--sam", "vit_nano", "--lr", "0.002",
        "--epochs", str(teacher_epochs), *learning, "-o", str(out / "teacher"),
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


def parsed(stages: Sequence[Stage], command_name: str) -> list[dict[str, Any]]:
    """Returns the JSON results of the stages that ran one command."""
    return [json_module.loads(stage.output) for stage in stages if stage.words[0] == command_name]
