"""What a teacher costs a training step: no teacher, stored targets, a ViT-B teacher in every step; and their bytes.

    python benchmarks/distillation/target_cost.py [--student unet-edge-base] [--patch 64] [--threads 1]

A step is what training does with one crop: it is cut out of the prepared case, augmented, passed through the student,
and the gradients are computed. All three kinds run in turn; CPU seconds, the fastest of several rounds counts. The case
is a phantom with 14 classes; its targets are its labels, blurred by 1.5 voxels, for random weights would make
probabilities that no trained teacher gives. The ViT-B teacher is AutoSAM's, with random weights: they do not change its
time.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import count
from pathlib import Path

import numpy as np
import torch
from bedside.benchmarks.shared.step_seconds import fastest_seconds
from bedside.distill import DistillationLoss, build_student
from bedside.runtime.axes import XYZ
from bedside.runtime.labels.probabilities import LEVELS
from bedside.runtime.task_presets import load_task
from bedside.teacher import build_teacher
from bedside.training.data.crops import CropDataset, CropSource
from bedside.training.data.dataset import load_dataset
from bedside.training.data.prepare import prepare_cases
from bedside.training.data.soft_labels import SoftLabels, write_soft_labels
from bedside.training.loop.cpu_network import adapt_to_cpu
from bedside.training.phantoms.phantom import write_phantoms
from bedside.training.recipe import Recipe
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter


def blurred(labels: NDArray[np.integer], classes: int) -> NDArray[np.float32]:
    """Returns probabilities ``[C, D, H, W]`` of labels ``[D, H, W]``."""
    volumes = np.stack([gaussian_filter((labels == label).astype(np.float32), 1.5) for label in range(classes)])
    return volumes / volumes.sum(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", default="unet-edge-base")
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    task = load_task("btcv").replaced(patch=XYZ(given.patch, given.patch, given.patch))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_phantoms(folder / "data", 1, seed=0)
        (case,) = prepare_cases(load_dataset(folder / "data").training, task, folder / "cases")
        probabilities = blurred(np.asarray(case.labels()), task.num_classes)
        (folder / "targets").mkdir()
        write_soft_labels(folder / "targets", probabilities)
        targets = SoftLabels.open(folder / "targets")
        stored = sum(file.stat().st_size for file in (folder / "targets").iterdir())
        rounding = float(np.abs(targets.arrays().whole() / np.float32(LEVELS) - probabilities).max())

        student = build_student(given.student, num_classes=task.num_classes)
        adapt_to_cpu(student)
        teacher = build_teacher(num_classes=task.num_classes, patch=given.patch, sam="vit_b").eval()
        alone, taught, numbers = DistillationLoss(1.0), DistillationLoss(0.5), count()
        with_targets = CropDataset([CropSource(case, targets)], task, Recipe())
        without = CropDataset([CropSource(case)], task, Recipe())

        def step(crops: CropDataset, kind: str) -> None:
            crop = {name: tensor[None] for name, tensor in crops[0, next(numbers)].items()}
            soft = None
            if kind == "stored":
                soft = crop["teacher"] / LEVELS
            elif kind == "online":
                with torch.inference_mode():
                    soft = teacher(crop["image"]).float().softmax(1)
                soft = soft.clone()
            (alone if soft is None else taught)(student(crop["image"]), soft, crop["label"]).backward()
            student.zero_grad(set_to_none=True)

        seconds = fastest_seconds(
            {
                "none": lambda: step(without, "none"),
                "stored": lambda: step(with_targets, "stored"),
                "online": lambda: step(without, "online"),
            },
            rounds=given.rounds,
        )
    print(f"{given.student}, one crop of {given.patch}³, {task.num_classes} classes, {given.threads} thread(s)")
    for kind, value in seconds.items():
        print(f"{kind:7} {value:7.2f} s a step, {value / seconds['none']:6.2f} times a step without a teacher")
    print(f"online costs {seconds['online'] / seconds['stored']:.1f} times a step with stored targets")
    half = 2 * probabilities.size
    print(f"bytes: {stored / 1e6:.1f} MB stored, {half / 1e6:.1f} MB as float16: {half / stored:.1f} times smaller")
    print(f"largest change of a probability by storing it: {rounding:.4f}")


if __name__ == "__main__":
    main()
