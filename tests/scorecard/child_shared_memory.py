"""Trains with loading threads where /dev/shm holds 64 kB, less than a crop; prints one JSON object of outcomes.

Arguments: folder, trials. Whoever starts it has put the small /dev/shm in place, for this process and its children.
"""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))

from bedside.distill import distill
from bedside.training.data.dataset import load_dataset
from bedside.training.loop.hardware import Hardware
from bedside.training.recipe import Recipe
from tiny_training import EPOCHS, STEPS, TASK, exit_code, forked, outcome, write_cubes

RECIPE = Recipe(epochs=EPOCHS, steps_per_epoch=STEPS, warmup=0, lr=0.01, pictures_every=0)


def train(dataset, path, workers):
    hardware = Hardware("cpu", workers=workers)
    distill(dataset, path, student="tiny", lam=1.0, teacher=None, task=TASK, recipe=RECIPE, hardware=hardware)


folder, number = Path(sys.argv[1]), int(sys.argv[2])
shared = os.statvfs("/dev/shm")
counts = Counter({"bytes of shared memory": shared.f_blocks * shared.f_frsize, "processes left over": 0})
dataset = load_dataset(write_cubes(folder / "data"))
if exit_code(forked(lambda: train(dataset, folder / "reference", 0))):
    sys.exit("the reference training failed")
expected, slowest = outcome(folder / "reference"), 0.0
for trial in range(number):
    started = time.perf_counter()
    code = exit_code(forked(lambda path=folder / f"run{trial}": train(dataset, path, 2)))
    slowest = max(slowest, time.perf_counter() - started)
    counts[f"exit code {code}"] += 1
    counts["same weights and curve"] += code == 0 and outcome(folder / f"run{trial}") == expected
    counts["processes left over"] += len(psutil.Process().children(recursive=True))
counts["ms that the slowest took"] = round(1000 * slowest)
print(json.dumps(counts))
