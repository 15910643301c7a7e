"""The commands of the demo in their order, each one that a user could type."""

from __future__ import annotations

from pathlib import Path

from ...runtime.errors import ExitCode
from ..terminal.console import Console
from .stages import Stage, run_stage

_GRID = ("--spacing", "5", "5", "5", "--patch", "64", "64", "32")
_TRAINING = ("--batch", "2", "--positive", "0.7", "--balance-classes", "--device", "cpu")


def run_course(
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
        "Train the teacher",
        "train-teacher",
        data,
        *task,
        "--sam",
        "vit_nano",
        "--lr",
        "0.002",
        *_length(teacher_epochs),
        *learning,
        "-o",
        str(out / "teacher"),
    )
    run(
        "Distil a student from it",
        "distill",
        data,
        "--teacher",
        str(out / "teacher"),
        "--lambda",
        "0.5",
        *student,
        "-o",
        str(out / "student"),
    )
    run(
        "Train the same student without it",
        "distill",
        data,
        *task,
        "--lambda",
        "1",
        *student,
        "-o",
        str(out / "baseline"),
    )
    run("Export and quantize", "export", str(out / "student"), "-o", bundle, "--calibration", data)
    for scan in sorted((out / "data" / "imagesTs").glob("*.nii.gz")):
        for precision in ("fp32", "int8"):
            (predictions / precision).mkdir(parents=True, exist_ok=True)
            run(
                f"Segment {scan.name.removesuffix('.nii.gz')} in {precision}",
                "segment",
                bundle,
                "-i",
                str(scan),
                "-o",
                str(predictions / precision / scan.name),
                "--precision",
                precision,
                "--json",
            )
    scan = sorted((out / "data" / "imagesTs").glob("*.nii.gz"))[0]
    run("Benchmark this machine", "benchmark", bundle, "-i", str(scan), "--seconds", "1", "--json")
    return stages


def _length(epochs: int) -> tuple[str, ...]:
    """Returns the options for epochs and warm-up: one warm-up epoch, or none if that were the whole training."""
    return "--epochs", str(epochs), "--warmup", str(min(1, epochs - 1))
