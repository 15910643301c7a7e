"""A student's run, and the bundle that `bedside export` makes of it."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import pytest
import torch
from bedside.cli.main import run as bedside
from bedside.runtime import Grid, Task, write_volume
from bedside.runtime.task import Intensity, Modality
from bedside.training.loop.checkpoint import save_weights
from bedside.training.recipe import Recipe
from bedside.training.runs.best_weights import BestWeights
from bedside.training.runs.learned_from import LearnedFrom
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import Distillation, ModelConfig, RunConfig
from bedside.training.trained_student import TrainedStudent

TASK = Task(
    name="toy",
    modality=Modality.CT,
    labels=("background", "fat", "bone"),
    spacing=(3.0, 3.0, 3.0),
    intensity=Intensity(clip=(-1000.0, 1000.0), scale_to=(0.0, 1.0)),
    patch=(32, 16, 8),
)


@pytest.fixture(scope="session")
def student_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student's run, and a data set of one case."""
    folder = tmp_path_factory.mktemp("export")
    config = RunConfig(
        model=ModelConfig(kind="student", name="unet-nano"),
        task=TASK,
        recipe=Recipe(),
        dataset="toy",
        data_hash="cd" * 32,
        distillation=Distillation(lam=0.5, teacher="big-one"),
    )
    run = Run.create(folder / "student", config, resume=False)
    run.start()
    for epoch, dice in enumerate((0.2, 0.6, 0.4)):
        run.log(epoch, {"loss": 1.0, "dice": dice, "dice_fat": dice})
    save_weights(run.best, torch.nn.Conv3d(1, 3, 1), about=BestWeights(epoch=1, dice=0.6))

    labels = np.zeros((40, 24, 24), np.uint8)
    labels[4:36, 4:20, 4:20] = 1  # fat only: no case has bone
    image = np.where(labels == 1, -100.0, -1000.0).astype(np.float32)
    grid = Grid(labels.shape, np.diag([3.0, 3.0, 3.0, 1.0]))
    for name, array in (("image.nii.gz", image), ("label.nii.gz", labels)):
        write_volume(folder / name, array, grid)
    case = {"image": "image.nii.gz", "label": "label.nii.gz"}
    listing = {"labels": {"0": "background", "1": "fat", "2": "bone"}, "training": [case], "validation": [case]}
    (folder / "dataset.json").write_text(json.dumps(listing))
    return folder


@pytest.fixture(scope="session")
def exported(student_folder: Path) -> Path:
    """The bundle of that run; two convolutions stand in for its network, which takes a quarter of a minute to trace."""
    import torch
    from bedside import distill

    folder = student_folder
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3, padding=1), torch.nn.Conv3d(4, 3, 3, padding=1))

    def load_student(path: Path) -> TrainedStudent:
        run = Run.open(path)
        config = run.config
        assert config.distillation is not None
        return TrainedStudent(
            model=network,
            task=config.task,
            student=config.model.name,
            lam=config.distillation.lam,
            teacher=config.distillation.teacher_names,
            learned_from=LearnedFrom.of_run(run),
            metrics=run.rows()[-1],
        )

    words = ["--calibration", str(folder / "dataset.json"), "--patches", "2", "--threads", "1", "-q", "--within-body"]
    words += ["--largest-component", "fat", "--min-volume", "bone=2.5", "--overlap", "0.5", "--keep-failed"]
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(io.StringIO()) as said:
        patch.setattr(distill, "load_student", load_student)
        assert bedside(["export", str(folder / "student"), "-o", str(folder / "b"), *words]) == 6
    (folder / "said.txt").write_text(said.getvalue())
    return folder / "b"
