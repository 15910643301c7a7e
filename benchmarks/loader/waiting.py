"""Which share of a training the network waits for crops: a nano teacher on the CPU, crops from threads of their own.

    python benchmarks/loader/waiting.py DATASET [--patch 64] [--steps 20] [--workers 0 1] [--work FOLDER]

README.md beside this file says what is measured how.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from bedside.runtime.files.atomic import make_folder
from bedside.runtime.task import Task
from bedside.runtime.task_presets import load_task
from bedside.teacher import build_teacher
from bedside.training.data.crops import CropSource
from bedside.training.data.dataset import load_dataset
from bedside.training.data.prepare import prepare_cases
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.loader import CropLoader
from bedside.training.loop.losses import segmentation_loss
from bedside.training.recipe import AUGMENTATION, Recipe
from crop_loaders import write_teacher


def waiting(
    sources: list[CropSource], task: Task, recipe: Recipe, model: torch.nn.Module, steps: int, workers: int
) -> tuple[float, float]:
    """Trains for ``steps`` crops; returns seconds waited for crops and seconds in total, without the first step."""
    loss = segmentation_loss()
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-4)
    order, fabric = [[(0, item)] for item in range(steps)], make_fabric("cpu", "32-true")
    waited = start = 0.0
    with CropLoader(sources, task, recipe, order, fabric=fabric, workers=workers) as loader:
        for step in range(steps):
            before = time.perf_counter()
            batch = loader.next_batch()
            if step:
                waited += time.perf_counter() - before
            loss(model(batch["image"]), batch["label"]).backward()
            optimizer.step()
            optimizer.zero_grad()
            start = start or time.perf_counter()
    return waited, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--task", default="btcv")
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--work", type=Path, default=Path("loader-work"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    task = load_task(given.task).replaced(patch=(given.patch,) * 3)
    dataset = load_dataset(given.dataset, labels=task.labels)
    prepared = prepare_cases(dataset.training, task, given.work / "cases")
    recipe = Recipe(augmentation=AUGMENTATION["btcv"])
    model = build_teacher("autosam", num_classes=task.num_classes, sam="vit_nano", patch=task.patch.dhw)
    for teacher in (False, True):
        targets = make_folder(given.work / "targets")
        taught = [write_teacher(case, task.num_classes, targets) if teacher else None for case in prepared]
        sources = [CropSource(case, soft) for case, soft in zip(prepared, taught, strict=True)]
        for workers in given.workers:
            waited, seconds = waiting(sources, task, recipe, model, given.steps, workers)
            print(
                f"patch {given.patch}³, teacher probabilities {'with' if teacher else 'without'}, {workers} workers: "
                f"{seconds / (given.steps - 1):.2f} s per step, {100 * waited / seconds:.1f} % of it waiting",
                flush=True,
            )


if __name__ == "__main__":
    main()
