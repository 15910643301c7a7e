"""What a training crop costs: bedside's loader against MONAI's usual ones, on the same cases, in one run.

    python benchmarks/loader/crop_cost.py DATASET [--patch 64 128] [--crops 40] [--work FOLDER] -o table.md

README.md beside this file says what is measured how.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from bedside.runtime.task_presets import load_task
from bedside.training.data.crops import CropSource
from bedside.training.data.dataset import load_dataset
from bedside.training.data.prepare import prepare_cases
from bedside.training.recipe import AUGMENTATION, Augmentation
from crop_loaders import LOADERS, Crop, build, write_teacher

ROUNDS = 4
GPU_STEP_S = 0.3  # roughly a step of the paper's teacher at 128³ on a data-centre GPU


@dataclass(frozen=True)
class Row:
    """The cost of a crop with one loader.

    Attributes:
        patch: edge in voxels.
        teacher: whether crops include teacher probabilities.
        loader: one of `LOADERS`.
        cpu_ms: processor time per crop, one figure for each round.
        wall_ms: time per crop, likewise.
    """

    patch: int
    teacher: bool
    loader: str
    cpu_ms: list[float]
    wall_ms: list[float]


def measure(loaders: dict[str, Crop], patch: int, teacher: bool, crops: int) -> list[Row]:
    """Times each loader in turn, round by round, in this process and one thread."""
    rows = [Row(patch, teacher, loader, [], []) for loader in loaders]
    for number in range(4):  # libraries loaded, caches of the first epoch filled
        for loader in loaders.values():
            loader(number)
    for each_round in range(ROUNDS):
        for row, loader in zip(rows, loaders.values(), strict=True):
            cpu, wall = time.process_time(), time.perf_counter()
            for number in range(crops // ROUNDS):
                loader(each_round * (crops // ROUNDS) + number)
            count = max(1, crops // ROUNDS) / 1000
            row.cpu_ms.append((time.process_time() - cpu) / count)
            row.wall_ms.append((time.perf_counter() - wall) / count)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Returns the rows as Markdown, each with its ratio to bedside's."""
    lines = [
        "| patch | teacher | loader | CPU ms per crop, median (worst round) | wall ms | times bedside's CPU time "
        f"| share of a process that steps of {GPU_STEP_S:g} s need |",
        "|---" * 7 + "|",
    ]
    ours = {(row.patch, row.teacher): median(row.cpu_ms) for row in rows if row.loader == "bedside"}
    for row in rows:
        cpu = median(row.cpu_ms)
        lines.append(
            f"| {row.patch}³ | {'yes' if row.teacher else 'no'} | {row.loader} | {cpu:.1f} ({max(row.cpu_ms):.1f}) "
            f"| {median(row.wall_ms):.1f} | {cpu / ours[row.patch, row.teacher]:.1f} "
            f"| {100 * cpu / 1000 / GPU_STEP_S:.0f} % |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--task", default="btcv")
    parser.add_argument("--patch", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--crops", type=int, default=40)
    parser.add_argument("--cases", type=int, default=2)
    parser.add_argument("--loaders", nargs="+", choices=LOADERS, default=list(LOADERS))
    parser.add_argument("--work", type=Path, default=Path("loader-work"), help="prepared cases and caches go here")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    task = load_task(given.task)
    dataset = load_dataset(given.dataset, labels=task.labels)
    prepared = prepare_cases(dataset.training[: given.cases], task, given.work / "cases")
    (given.work / "targets").mkdir(parents=True, exist_ok=True)
    augmentation = AUGMENTATION.get(task.name, Augmentation())
    rows: list[Row] = []
    for teacher in (False, True):
        sources = [CropSource(case) for case in prepared]
        if teacher:
            targets = given.work / "targets"
            sources = [CropSource(case, write_teacher(case, task.num_classes, targets)) for case in prepared]
        for edge in given.patch:
            cube = task.replaced(patch=(edge, edge, edge))
            loaders = {
                loader: build(loader, sources, cube, augmentation, given.work / f"{loader}-{teacher}")
                for loader in given.loaders
            }
            rows += measure(loaders, edge, teacher, given.crops)
            print(table(rows[-len(loaders) :]), flush=True)
            del loaders
    shape = "×".join(str(size) for size in prepared[0].image().shape[::-1])
    text = f"{len(prepared)} cases, the first of {shape} voxels; {given.crops} crops each.\n\n{table(rows)}\n"
    print(text)
    if given.output:
        given.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
