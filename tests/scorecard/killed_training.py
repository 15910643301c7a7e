"""Kills a training with SIGKILL, again and again, and lets it go on; counts what is then lost.

A checkpoint is written every second step, so that many kills fall into the writing of one.
"""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np
from bedside.distill import distill
from bedside.runtime.errors import BedsideError
from bedside.training.data.dataset import load_dataset
from bedside.training.loop.checkpoint import Checkpoint
from bedside.training.loop.hardware import Hardware
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run
from tiny_training import EPOCHS, STEPS, TASK, exit_code, forked, outcome, write_cubes

INTERVAL = 2
RECIPE = Recipe(epochs=EPOCHS, steps_per_epoch=STEPS, warmup=0, lr=0.01, checkpoint_every=INTERVAL, pictures_every=0)


def train(dataset, path, told):
    def progress(done, total, note):
        if note.startswith("loss"):
            os.write(told, bytes([done]))

    distill(
        dataset,
        path,
        student="tiny",
        lam=1.0,
        teacher=None,
        task=TASK,
        recipe=RECIPE,
        hardware=Hardware("cpu"),
        resume=True,
        progress=progress,
    )


def whole(dataset, path):
    """Trains to the end; returns the exit code and the seconds after the first step."""
    ready, told = os.pipe()
    child = forked(lambda: train(dataset, path, told))
    os.close(told)
    os.read(ready, 1)
    started = time.perf_counter()
    while os.read(ready, 4096):
        pass
    os.close(ready)
    return exit_code(child), time.perf_counter() - started


def killed_after(dataset, path, steps, delay):
    """Kills a training some time after so many steps; returns the last step that was finished, or None if all were."""
    ready, told = os.pipe()
    child = forked(lambda: train(dataset, path, told))
    os.close(told)
    finished = b""
    while len(finished) < steps and (heard := os.read(ready, 1)):
        finished += heard
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    ended = exit_code(child) == 0
    finished += os.read(ready, 10_000)
    os.close(ready)
    return None if ended or not finished else finished[-1]


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


def trials(folder: Path, number: int, rng: np.random.Generator) -> Counter[str]:
    """Returns how many trials had which outcome."""
    dataset = load_dataset(write_cubes(folder / "data"))
    code, seconds = whole(dataset, folder / "reference")
    if code:
        raise RuntimeError("the reference training failed")
    expected, counts = outcome(folder / "reference"), Counter({"checkpoints that cannot be read": 0})
    for trial in range(number):
        path, at = folder / f"run{trial}", 0
        for _ in range(int(rng.integers(1, 4))):  # killed, resumed, perhaps killed again
            left = EPOCHS * STEPS - at
            step, delay = int(rng.integers(1, max(2, left))), rng.uniform(0, seconds / (EPOCHS * STEPS))
            done = killed_after(dataset, path, step, delay)
            if done is None:
                counts["had ended before the kill"] += 1
                break
            at = checkpoint_step(path, counts)
            counts["kills"] += 1
            counts["kills within a write"] += any(file.name.startswith(".bedside-") for file in path.iterdir())
            counts["more than one interval lost"] += done - at > INTERVAL
        counts["resumed"] += whole(dataset, path)[0] == 0
        counts["same weights and curve"] += outcome(path) == expected
    return counts
