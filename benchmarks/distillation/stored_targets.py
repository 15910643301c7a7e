"""What does storing a teacher's probabilities change? On a data set's validation cases, with a trained network.

    python benchmarks/distillation/stored_targets.py RUN --data DATA [--cases 20] [--threads 1]

RUN is a run directory or a bundle. Its network segments each case as it does before a distillation; the probabilities
are stored as a student's targets are, and read back. Compared are the Dice of the most probable classes before and
after, and bytes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from bedside.distill.teacher import Teacher
from bedside.runtime.labels.probabilities import LEVELS
from bedside.training.data.dataset import load_dataset
from bedside.training.data.prepare import prepare_cases
from bedside.training.data.soft_labels import SoftLabels, write_soft_labels
from bedside.training.loop.validate import predict_probabilities
from bedside.training.scores.metrics import dice_per_class, finite_mean

_OVERLAP = 0.5  # of the windows in which teachers segment a case


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=20, help="number of validation cases; at most all")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    teacher = Teacher.open(given.run)
    network, task = teacher.network, teacher.task
    listed = load_dataset(given.data, labels=task.labels).validation[: given.cases]
    before: list[float] = []
    after: list[float] = []
    changed: list[float] = []
    largest, stored, half = 0.0, 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for number, case in enumerate(prepare_cases(listed, task, folder / "cases")):
            device = torch.device("cpu")
            probabilities = predict_probabilities(network, case, task, overlap=_OVERLAP, device=device).numpy()
            targets = folder / f"targets-{number}"
            targets.mkdir()
            write_soft_labels(targets, probabilities)
            levels = SoftLabels.open(targets).arrays().whole()
            truth = np.asarray(case.labels())
            found, kept = probabilities.argmax(axis=0), levels.argmax(axis=0)
            for labels, dice in ((found, before), (kept, after)):
                dice.append(finite_mean(dice_per_class(labels, truth, task.num_classes)[1:]))
            changed.append(float((found != kept).mean()))
            largest = max(largest, float(np.abs(levels / np.float32(LEVELS) - probabilities).max()))
            stored += sum(file.stat().st_size for file in targets.iterdir())
            half += 2 * probabilities.size
            print(f"{number + 1} of {len(listed)}", flush=True)
    print(f"Dice of {len(listed)} cases: {np.mean(before):.5f} computed, {np.mean(after):.5f} stored")
    print(f"largest change of a case's Dice: {np.abs(np.subtract(before, after)).max():.5f}")
    print(f"voxels with another most probable class: {np.mean(changed):.2e}")
    print(f"largest change of a probability: {largest:.4f}")
    print(f"bytes: {stored / 1e6:.1f} MB stored, {half / 1e6:.1f} MB as float16: {half / stored:.1f} times smaller")


if __name__ == "__main__":
    main()
