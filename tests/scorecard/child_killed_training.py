"""Kills a training with SIGKILL, again and again, and lets it go on; counts what is then lost.

Arguments: folder, trials, seed. Prints one JSON object of outcomes. A checkpoint is written every second step, so that
most kills fall into the writing of one.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from bedside.distill import distill
from bedside.runtime.errors import BedsideError
from bedside.training.checkpoint import Checkpoint
from bedside.training.dataset import load_dataset
from bedside.training.hardware import Hardware
from bedside.training.recipe import Recipe
from bedside.training.run import Run
from tiny_training import EPOCHS, STEPS, TASK, exit_code, forked, outcome, write_cubes

INTERVAL = 2
folder, trials, rng = Path(sys.argv[1]), int(sys.argv[2]), np.random.default_rng(int(sys.argv[3]))
dataset = load_dataset(write_cubes(folder / "data"))
recipe = Recipe(epochs=EPOCHS, steps_per_epoch=STEPS, warmup=0, lr=0.01, checkpoint_every=INTERVAL, pictures_every=0)


def train(path, told):
    def progress(done, total, note):
        if note.startswith("loss"):
            os.write(told, bytes([done]))

    distill(
        dataset, path, student="tiny", lam=1.0, teacher=None, task=TASK, recipe=recipe, hardware=Hardware("cpu"),
        resume=True, progress=progress,
    )  # fmt: skip


def whole(path):
    """Trains to the end; returns the exit code and the seconds after the first step."""
    ready, told = os.pipe()
    child = forked(lambda: train(path, told))
    os.close(told)
    os.read(ready, 1)
    started = time.perf_counter()
    while os.read(ready, 4096):
        pass
    os.close(ready)
    return exit_code(child), time.perf_counter() - started


def killed_after(path, delay):
    """Trains until the delay after the first step is over; returns the last step that was finished, or None."""
    ready, told = os.pipe()
    child = forked(lambda: train(path, told))
    os.close(told)
    first = os.read(ready, 1)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    ended = exit_code(child) == 0
    steps = first + os.read(ready, 10_000)
    os.close(ready)
    return None if ended or not steps else steps[-1]


def checkpoint_step(path, counts):
    """The step the newest checkpoint goes on with; counts the checkpoints that cannot be read."""
    for file in Run.open(path).checkpoints():
        try:
            position = Checkpoint.read(file).position
        except BedsideError:
            counts["checkpoints that cannot be read"] += 1
            continue
        return position.epoch * STEPS + position.step
    return 0


counts = Counter()
code, duration = whole(folder / "reference")
if code:
    sys.exit("the reference training failed")
expected = outcome(folder / "reference")
for trial in range(trials):
    path = folder / f"run{trial}"
    for _ in range(int(rng.integers(1, 4))):  # killed, resumed, perhaps killed again
        done = killed_after(path, rng.uniform(0, duration))
        if done is None:
            counts["had ended before the kill"] += 1
            break
        counts["kills"] += 1
        counts["kills within a write"] += any(file.name.startswith(".bedside-") for file in path.iterdir())
        lost = done - checkpoint_step(path, counts)
        counts["more than one interval lost"] += lost > INTERVAL
        counts["checkpoints that cannot be read"] += 0
    counts["resumed"] += whole(path)[0] == 0
    counts["same weights and curve"] += outcome(path) == expected
print(json.dumps(counts))
