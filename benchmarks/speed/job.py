"""The job that the parent sends to the process of one method, and its outcome: one JSON object each.

Only the standard library is used here: nnU-Net runs under a Python of its own, without bedside.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Job:
    """The job of any method.

    Attributes:
        scan: the scan's file.
        piece: file of the scan's middle, one window in size, for the warm-up.
        labels: ``.npy`` to write the label map to; empty if it is not compared.
        repeats: timed passes over the scan; 0 only loads and warms up.
        threads: CPU threads; None for all that the process may use.
        overlap: overlap of windows, 0 to below 1.
    """

    scan: str
    piece: str
    labels: str
    repeats: int
    threads: int | None
    overlap: float


@dataclass(frozen=True, kw_only=True)
class MonaiJob(Job):
    """For MONAI: the student, and the spacing and patch to run it with, x, y, z.

    Attributes:
        run: run directory of the student.
        spacing: mm.
        patch: voxels.
    """

    run: str
    spacing: list[float]
    patch: list[int]


@dataclass(frozen=True, kw_only=True)
class BedsideJob(Job):
    """For bedside: bundle, variant and option.

    Attributes:
        bundle: the bundle.
        engine: row of the engine table, or "auto".
        precision: precision of the variant, or "auto".
        skip_air: whether to leave out windows without body.
    """

    bundle: str
    engine: str
    precision: str
    skip_air: bool


@dataclass(frozen=True, kw_only=True)
class NnunetJob(Job):
    """For nnU-Net: the task in its axis order z, y, x, and the student's operations for one window.

    Attributes:
        spacing: mm, z, y, x.
        patch: voxels, z, y, x.
        classes: names of the labels, background first.
        clip: range of intensities in HU.
        flops: floating-point operations of the student for one window.
    """

    spacing: list[float]
    patch: list[int]
    classes: list[str]
    clip: list[float]
    flops: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of any method.

    Attributes:
        seconds: seconds of each pass, from the scan's file to the label map in memory.
        peak_bytes: the most physical memory the process held, libraries included.
        windows: number of windows that the network ran in one pass.
        flops: floating-point operations of the network for one window; None where not counted.
        grid_mm: how far the corners of the grid the network worked on lie from those of bedside's; None where the
            labels are not compared.
        taken: engine setting, or library versions, or architecture that ran.
        reason: why these were chosen.
        beside: share of each pass that is not the network.
        stages: stage → milliseconds, of the fastest pass.
    """

    seconds: list[float]
    peak_bytes: int
    windows: int
    flops: float | None = None
    grid_mm: float | None = None
    taken: str = ""
    reason: str = ""
    beside: list[float] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)


Kind = TypeVar("Kind", bound=Job)
Result = TypeVar("Result")


def read_job(kind: type[Kind]) -> Kind:
    """Reads the job from standard input."""
    return kind(**json.load(sys.stdin))


def answer(outcome: Outcome) -> None:
    """Writes the outcome as the last line of standard output; libraries may have written before."""
    print(json.dumps(asdict(outcome)), flush=True)


def run(script: str, job: Job, python: str = sys.executable) -> Outcome:
    """Runs a method's script in a process of its own and returns what it answers."""
    asked = json.dumps(asdict(job))
    done = subprocess.run([python, str(FOLDER / script)], input=asked, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stderr}")
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """Returns a call's result and its seconds on the clock."""
    begun = time.perf_counter()
    result = call()
    return result, time.perf_counter() - begun


def peak_bytes() -> int:
    """Returns the most physical memory this process has held.

    That is Linux's ``VmHWM``: the peak of `getrusage` may be the parent's, from before the child ran its own program.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("expected VmHWM in /proc/self/status, got none; run this on Linux")
