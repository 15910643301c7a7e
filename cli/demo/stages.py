"""The commands of the demo in their order; a user could type each of them."""

from __future__ import annotations

from pathlib import Path

from ...runtime.errors import ExitCode
from ..terminal.console import Console
from .child_command import Stage, run_stage

_GRID = ["--spacing", "5", "5", "5", "--patch", "64", "64", "32"]
_TRAINING = [
    "--batch", "2", "--positive", "0.7", "--balance-classes", "--loss", "balanced-dice-ce", "--device", "cpu",
    "--validate-every", "8",
]  # fmt: skip

# A student that learned little may fail at the gate in int8: no minutes for its layers, and the report compares int8.
_QUICK_EXPORT = ("--keep-failed", "--int8-search", "0")


def run_stages(
    out: Path, cases: int, teacher_epochs: int, student_epochs: int, steps: int, seed: int, console: Console
) -> list[Stage]:
    """Runs the commands of the demo, from phantoms to a benchmark.

    Args:
        out: the demo's folder.
        cases: number of phantoms.
        teacher_epochs: epochs of the teacher.
        student_epochs: epochs of each student.
        steps: optimiser steps per epoch.
        seed: seed of phantoms and trainings.
        console: where the commands are shown.

    Returns:
        The commands that ran; the last is the benchmark, with its JSON.

    Raises:
        StageFailedError: a command failed.
    """
    data, bundle, predictions = out / "data", out / "student.bedside", out / "predictions"
    training = ("--steps-per-epoch", steps, "--seed", seed, *_TRAINING)
    student = ("--student", "unet-edge-base", *_epochs(student_epochs), *training)
    task = ("--task", "btcv", *_GRID)
    stages: list[Stage] = []

    def run(title: str, command: str, *options: object) -> None:
        arguments = (command, *map(str, options))
        console.info(f"\n{len(stages) + 1}. {title}\n   bedside {' '.join(arguments)}")
        quiet = ("-q",) if console.quiet else ()
        accept = (ExitCode.OK, ExitCode.REVIEW) if command in ("segment", "export") else (ExitCode.OK,)
        stages.append(run_stage(title, (*arguments, *quiet), accept=accept))

    def train(title: str, command: str, run_folder: str, *options: object) -> None:
        run(title, command, data, *options, "-o", out / run_folder)

    run("Make phantoms", "phantom", data, "--cases", cases, "--seed", seed)
    teacher = ("--sam", "vit_nano", "--no-train-encoder", "--lr", 0.002, *_epochs(teacher_epochs), *training)
    train("Train the teacher", "train-teacher", "teacher", *task, *teacher)
    distilled = ("--teacher", out / "teacher", "--lambda", 0.5, "--imitation", "dice-ce")
    train("Distil a student from the teacher", "distill", "student", *distilled, *student)
    train("Train the same student without the teacher", "distill", "baseline", *task, "--lambda", 1, *student)
    run("Export and quantize", "export", out / "student", "-o", bundle, "--calibration", data, *_QUICK_EXPORT)
    scans = sorted((data / "imagesTs").glob("*.nii.gz"))
    for scan in scans:
        for precision in ("fp32", "int8"):
            labels = predictions / precision / scan.name
            labels.parent.mkdir(parents=True, exist_ok=True)
            title = f"Segment {scan.name.removesuffix('.nii.gz')} in {precision}"
            run(title, "segment", bundle, "-i", scan, "-o", labels, "--precision", precision, "--json")
    run("Benchmark this machine", "benchmark", bundle, "-i", scans[0], "--seconds", 1, "--json")
    return stages


def _epochs(epochs: int) -> tuple[object, ...]:
    """Returns the options for epochs and warm-up: one warm-up epoch, or none if that were the whole training."""
    return "--epochs", epochs, "--warmup", min(1, epochs - 1)
