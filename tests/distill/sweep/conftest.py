"""A data set of cubes in air that a student trains on in a second, and a run on it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from bedside.distill import distill
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.runtime.task import Task
from bedside.runtime.task_presets import load_task
from bedside.training.data.dataset import Dataset, load_dataset
from bedside.training.loop.hardware import Hardware
from bedside.training.recipe import Recipe

SHAPE = (24, 20, 16)
TASK = """
name = "cubes"
modality = "CT"
labels = ["background", "cube"]
spacing = [4.0, 4.0, 4.0]
patch = [64, 32, 32]
[intensity]
clip = [-200.0, 300.0]
scale_to = [0.0, 1.0]
"""


@dataclass(frozen=True)
class Cubes:
    """The data set, its task, and a run without a teacher that can teach."""

    dataset: Dataset
    task: Task
    task_file: Path
    teacher: Path

    @property
    def arguments(self) -> list[str]:
        """The arguments of a student that learns from the run for one step."""
        return [
            str(self.dataset.root), "--teacher", str(self.teacher), "--student", "unet-nano", "--epochs", "1",
            "--steps-per-epoch", "1", "--warmup", "0", "--pictures-every", "0", "--device", "cpu", "--quiet",
        ]  # fmt: skip


@pytest.fixture(scope="session")
def cubes(tmp_path_factory) -> Cubes:
    """Two test cases, one training and one validation case."""
    folder = tmp_path_factory.mktemp("cubes")
    lists = {"training": 1, "validation": 1, "test": 2}
    content = {"labels": {"background": 0, "cube": 1}}
    for part, count in lists.items():
        content[part] = []
        for number in range(count):
            start = 3 + len(content[part]) + len(part)
            image, label = np.full(SHAPE, -1000, np.int16), np.zeros(SHAPE, np.uint8)
            image[3:21, 3:17] = 0
            label[start - 4 : start, 6:12, 5:11] = 1
            image[label > 0] = 200
            files = {kind: f"{kind}_{part}_{number}.nii.gz" for kind in ("image", "label")}
            for kind, data in (("image", image), ("label", label)):
                write_volume(folder / files[kind], data, Grid(SHAPE, np.diag([4.0, 4.0, 4.0, 1.0])))
            content[part].append(files)
    (folder / "dataset.json").write_text(json.dumps(content))
    (folder / "cubes.toml").write_text(TASK)
    dataset, task = load_dataset(folder), load_task(str(folder / "cubes.toml"))
    teacher = tmp_path_factory.mktemp("runs") / "teacher"
    recipe = Recipe(epochs=1, steps_per_epoch=1, warmup=0, pictures_every=0)
    given = {"teacher": None, "task": task, "recipe": recipe, "hardware": Hardware("cpu")}
    distill(dataset, teacher, student="unet-nano", lam=1.0, **given)
    return Cubes(dataset, task, folder / "cubes.toml", teacher)
