"""Every command once or more, with the exit code it documents and a look at what it has to write."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

Words = Sequence[object]


@dataclass(frozen=True)
class Files:
    """What the commands work on: a bundle, two scans, label maps, a data set with its task, a run; `out` is new."""

    bundle: Path
    scans: Path
    labels: Path
    dataset: Path
    task: Path
    run: Path
    out: Path


def nothing(files: Files) -> None:
    """Looks at no file: the command writes none."""


@dataclass(frozen=True)
class Command:
    """A command line and what has to come of it.

    Attributes:
        words: after ``bedside``.
        code: exit code.
        check: fails where a file is missing or not whole.
        prints: whether it prints a result on stdout; what meets a full disk there ends with 5.
        long: it trains or exports, which takes too long for `make test`.
    """

    words: Callable[[Files], Words]
    code: int = 0
    check: Callable[[Files], object] = nothing
    prints: bool = True
    long: bool = False


def segment(files: Files, *more: object) -> Words:
    return ["segment", files.bundle, "-i", files.scans / "ü.nii.gz", "-o", files.out / "ü.nii.gz", *more]


def check_labels(*names: str) -> Callable[[Files], None]:
    """The cube of ten voxels along each edge is in every label map, and nothing else."""

    def check(files: Files) -> None:
        for name in names:
            labels = np.asarray(nib.load(files.out / name).dataobj)
            assert (labels.shape, int(labels.sum())) == ((20, 20, 20), 1000)

    return check


SHORT = ("--patch", 64, 32, 32, "--epochs", 1, "--warmup", 0, "--steps-per-epoch", 1, "--device", "cpu")

COMMANDS = {
    "--help": Command(lambda files: ["--help"]),
    "--version": Command(lambda files: ["--version"]),
    "a slip": Command(lambda files: ["segmnt"], code=2, prints=False),
    "demo --help": Command(lambda files: ["demo", "--help"]),
    "demo": Command(lambda files: ["demo", "-o", files.task], code=2, prints=False),
    "phantom": Command(
        lambda files: ["phantom", files.out / "set", "--cases", 1],
        check=lambda files: nib.load(files.out / "set" / "imagesTr" / "phantom_000.nii.gz").get_fdata(),
    ),
    "dataset check": Command(lambda files: ["dataset", "check", files.dataset, "--task", files.task, "--json"], code=6),
    "dataset prepared": Command(lambda files: ["dataset", "prepared", files.run.parent]),
    "train-teacher": Command(lambda files: ["train-teacher", "--dry-run", "--task", "btcv", "--sam", "vit_nano"]),
    "distill": Command(
        lambda files: [
            "distill", files.dataset, "--task", files.task, "--lambda", 1, "--student", "unet-nano", *SHORT,
            "-o", files.out / "run",
        ],
        check=lambda files: (files.out / "run" / "metrics.csv").read_text().index("dice"),
        long=True,
    ),
    "distill, no teacher": Command(lambda files: ["distill", files.dataset, "-o", files.out], code=2, prints=False),
    "export": Command(
        lambda files: ["export", files.run, "-o", files.out / "b.bedside", "--precision", "fp32"],
        check=lambda files: (files.out / "b.bedside" / "bundle.json").read_text().index("sha256"),
        long=True,
    ),
    "export --help": Command(lambda files: ["export", "--help"]),
    "segment": Command(segment, check=check_labels("ü.nii.gz")),
    "segment --json": Command(lambda files: segment(files, "--json"), check=check_labels("ü.nii.gz")),
    "segment -q": Command(lambda files: segment(files, "-q"), check=check_labels("ü.nii.gz"), prints=False),
    "segment, a folder": Command(
        lambda files: ["segment", files.bundle, "-i", files.scans, "-o", files.out / "maps", "--workers", 2],
        check=check_labels("maps/a.nii.gz", "maps/ü.nii.gz"),
    ),
    "segment, no scan": Command(
        lambda files: ["segment", files.bundle, "-i", files.out / "no.nii", "-o", files.out / "no.nii.gz"],
        code=3, prints=False,
    ),
    "segment, no bundle": Command(
        lambda files: ["segment", files.out, "-i", files.scans / "a.nii.gz", "-o", files.out / "no.nii.gz"],
        code=4, prints=False,
    ),
    "evaluate": Command(
        lambda files: [
            "evaluate", "-p", files.labels, "-t", files.labels, "--labels", "Fett…,Knochen", "--json",
            "--csv", files.out / "scores.csv",
        ],
        check=lambda files: (files.out / "scores.csv").read_text(encoding="utf-8").index("Fett…"),
    ),
    "benchmark": Command(
        lambda files: ["benchmark", files.bundle, "--engine", "onnxruntime", "--precision", "fp32", "--seconds", 0]
    ),
    "bundle zip": Command(
        lambda files: ["bundle", "zip", files.bundle, "-o", files.out / "ü.zip"],
        check=lambda files: zipfile.ZipFile(files.out / "ü.zip").testzip(),
    ),
    "devices": Command(lambda files: ["devices"]),
    "devices report": Command(
        lambda files: ["devices", "report", "-o", files.out / "ü.zip", "--force"],
        check=lambda files: zipfile.ZipFile(files.out / "ü.zip").testzip(),
    ),
    "devices --json": Command(lambda files: ["devices", "--json"]),
    "inspect": Command(lambda files: ["inspect", files.bundle]),
    "inspect --json": Command(lambda files: ["inspect", files.bundle, "--json"]),
    "inspect, a run": Command(lambda files: ["inspect", files.run]),
}  # fmt: skip
