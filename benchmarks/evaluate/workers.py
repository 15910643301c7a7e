"""What `bedside evaluate --workers` gains on a data set, and what it takes in memory.

    python benchmarks/evaluate/workers.py [--cases 12] [--workers 1 2] [--shape 256 256 215] [--repeats 3] [-o FILE]

Cases are a phantom's 13 organs at ``--shape``, the prediction moved by two voxels along each axis: one file under many
names, so that every case costs the same. Each pass is the command as one would type it. Seconds are from its start to
its end. CPU seconds are those of all its processes; on the *longest path*, of the command's own and its busiest worker:
what it takes where every process has a CPU for itself, and what still counts on a busy machine. Memory is the largest
sum over them at one time, with pages that several share counted once (PSS), and the largest single process.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from scoring_cost import SPACING, label_maps

MIB = 2**20


@dataclass(frozen=True)
class Pass:
    """One run of the command: seconds, CPU seconds, bytes of all processes and of the largest one, its output."""

    wall: float
    cpu: float
    longest: float
    together: int
    largest: int
    output: str


def data_set(folder: Path, cases: int, shape: Sequence[int]) -> None:
    """Writes two folders, ``prediction`` and ``truth``, with the same case under many names."""
    from bedside.runtime.scans.geometry import Grid
    from bedside.runtime.scans.nifti import write_volume

    label_maps(folder, shape, speck=False)
    for role in ("prediction", "truth"):
        labels = np.load(folder / f"{role}.npy")
        first = folder / role / "case_00.nii.gz"
        first.parent.mkdir()
        write_volume(first, labels, Grid(labels.shape, np.diag([*SPACING, 1.0])))
        for number in range(1, cases):
            first.with_name(f"case_{number:02d}.nii.gz").hardlink_to(first)


def held(process: psutil.Process, cpu: dict[int, float]) -> list[int]:
    """Returns the bytes (PSS) of each process of a command, and stores CPU seconds in ``cpu`` by process id."""
    found: list[int] = []
    try:
        for each in (process, *process.children(recursive=True)):
            found.append(each.memory_full_info().pss)
            times = each.cpu_times()
            cpu[each.pid] = times.user + times.system
    except psutil.NoSuchProcess:
        pass  # it has ended meanwhile; the next sample finds the others
    return found


def measure(folder: Path, workers: int) -> Pass:
    """Runs the command once."""
    command = [sys.executable, "-m", "bedside", "evaluate", "--json", "-q"]
    command += ["-p", str(folder / "prediction"), "-t", str(folder / "truth"), "--workers", str(workers)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    together = largest = 0
    by_process: dict[int, float] = {}
    with tempfile.TemporaryFile("w+") as out, subprocess.Popen(command, stdout=out, env=environment) as child:
        process = psutil.Process(child.pid)
        while child.poll() is None:
            found = held(process, by_process)
            together, largest = max(together, sum(found)), max([largest, *found])
            time.sleep(0.1)
        wall = time.monotonic() - start
        if child.returncode:
            raise SystemExit(f"--workers {workers} ended with exit code {child.returncode}")
        out.seek(0)
        text = out.read()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    own = by_process.pop(child.pid)
    return Pass(wall, cpu, own + max(by_process.values(), default=0.0), together, largest, text)


def table(passes: dict[int, list[Pass]]) -> str:
    """Returns the pass with the fewest CPU seconds of each number of workers, as a Markdown table."""
    best = {workers: min(found, key=lambda each: each.cpu) for workers, found in passes.items()}
    first = best[next(iter(best))]
    lines = ["| workers | seconds | speed-up | longest path, CPU s | speed-up | CPU s | ratio "]
    lines[0] += "| together, MiB | largest process, MiB | same output |"
    lines += ["|---|---|---|---|---|---|---|---|---|---|"]
    for workers, found in best.items():
        same = all(each.output == first.output for each in passes[workers])
        lines.append(
            f"| {workers} | {found.wall:.1f} | {first.wall / found.wall:.2f} | {found.longest:.1f} | "
            f"{first.longest / found.longest:.2f} | {found.cpu:.1f} | "
            f"{found.cpu / first.cpu:.2f} | {found.together / MIB:,.0f} | {found.largest / MIB:,.0f} | "
            f"{'yes' if same else 'NO'} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--shape", type=int, nargs=3, default=[256, 256, 215])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data_set(Path(name), options.cases, options.shape)
        passes: dict[int, list[Pass]] = {workers: [] for workers in options.workers}
        print(f"load average {os.getloadavg()[0]:.2f} before, on {os.cpu_count()} CPUs", file=sys.stderr)
        for _ in range(options.repeats):  # interleaved, so that a busy minute affects all of them
            for workers, found in passes.items():
                found.append(measure(Path(name), workers))
                print(f"{workers} workers: {found[-1].wall:.1f} s, {found[-1].cpu:.1f} CPU s", file=sys.stderr)
        print(f"load average {os.getloadavg()[0]:.2f} after", file=sys.stderr)
    text = table(passes)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
