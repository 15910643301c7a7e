"""A training that takes half a second: cubes in a box, a student and a teacher of two convolutions each.

It goes through the real commands and functions; the two networks are those of a package in `tests/plugins`.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins"))

import numpy as np
import torch
import torch.utils.tensorboard.writer  # once here, not in every child
from bedside.runtime import Grid, write_volume
from bedside.runtime.task import Intensity, Modality, Task
from bedside.training.loop.checkpoint import save_weights
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import ModelConfig, RunConfig
from safetensors.torch import load_file
from tiny_networks import network

TASK = Task(
    name="cube", modality=Modality.CT, labels=("background", "cube"), spacing=(4.0, 4.0, 4.0),
    intensity=Intensity(clip=(-200.0, 300.0), scale_to=(0.0, 1.0)), patch=(32, 32, 32),
)  # fmt: skip
EPOCHS, STEPS = 3, 4


def write_cubes(folder: Path) -> Path:
    """Writes two training scans and one for validation; returns the list of them."""
    folder.mkdir(parents=True)
    entries = []
    for number in range(3):
        image = np.full((36, 34, 40), 40, np.int16)
        labels = np.zeros(image.shape, np.uint8)
        place = (slice(8 + 4 * number, 20 + 4 * number), slice(8, 20), slice(12, 24))
        image[place], labels[place] = 200, 1
        grid = Grid(image.shape, np.diag([4.0, 4.0, 4.0, 1.0]))
        write_volume(folder / f"case{number}.nii.gz", image, grid)
        write_volume(folder / f"label{number}.nii.gz", labels, grid)
        entries.append({"image": f"case{number}.nii.gz", "label": f"label{number}.nii.gz"})
    listing = {"labels": {"0": "background", "1": "cube"}, "training": entries[:2], "validation": entries[2:]}
    (folder / "dataset.json").write_text(json.dumps(listing))
    return folder / "dataset.json"


def write_teacher(path: Path) -> Path:
    """Writes a teacher's run directory."""
    model = ModelConfig(kind="teacher", name="tiny", options={"sam": "vit_nano", "preset": "paper"})
    config = RunConfig(model=model, task=TASK, recipe=Recipe(), dataset="cubes", data_hash="0" * 64)
    run = Run.create(path, config, resume=False)
    run.start()
    torch.manual_seed(1)
    save_weights(run.best, network(TASK.num_classes))
    return path


def forked(work):
    """Runs work in a child process that ends with its return value, and returns the child's number."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = int(work() or 0)
        finally:
            os._exit(code)
    return child


def exit_code(child: int) -> int:
    """Waits for a child; below zero: the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def outcome(path: Path):
    """What a finished run has learned: every weight, and every figure but the measurement of this machine."""
    run = Run.open(path)
    weights = {
        f"{file.name} {name}": tensor.numpy().tobytes()
        for file in (run.last, run.best)
        for name, tensor in load_file(file).items()
        if name.startswith(("model.", "optimizer."))
    }
    return weights, [{key: value for key, value in row.items() if key != "waiting"} for row in run.rows()]
