"""What the tests of trainings share: two phantoms, a task on a coarse grid, a teacher and a student."""

from dataclasses import replace

import pytest
from bedside.distill import distill
from bedside.runtime.scans.nifti import read_volume, write_volume
from bedside.runtime.task_presets import PRESETS
from bedside.teacher.autosam.config import AutoSamConfig
from bedside.teacher.train import train_teacher
from bedside.training.data.dataset import Case, load_dataset
from bedside.training.loop.hardware import Hardware
from bedside.training.phantoms.phantom import write_phantoms

from .tiny_runs import RECIPE


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    written = load_dataset(write_phantoms(tmp_path_factory.mktemp("phantoms") / "data", 2, seed=1))
    return replace(written, validation=())  # validation is tested with the loop itself


@pytest.fixture(scope="module")
def coarse_task():
    return PRESETS["btcv"].replaced(spacing=(8.0, 8.0, 8.0), patch=(64, 64, 32))


@pytest.fixture(scope="module")
def teacher_run(tmp_path_factory, dataset, coarse_task):
    out = tmp_path_factory.mktemp("runs") / "teacher"
    train_teacher(
        dataset, coarse_task, out, config=AutoSamConfig(sam="vit_nano"), recipe=RECIPE, hardware=Hardware("cpu")
    )
    return out


@pytest.fixture(scope="module")
def small_student(tmp_path_factory, dataset, coarse_task):
    """A run of a student without a teacher."""
    out = tmp_path_factory.mktemp("runs") / "small"
    distill(
        dataset,
        out,
        student="unet-nano",
        lam=1.0,
        teacher=None,
        task=coarse_task,
        recipe=RECIPE,
        hardware=Hardware("cpu"),
    )
    return out


@pytest.fixture(scope="module")
def with_unlabelled(dataset, tmp_path_factory):
    """A scan with labels, to validate on too, and one without: the same scan, 1 HU brighter."""
    scan, image = read_volume(dataset.training[0].image), tmp_path_factory.mktemp("unlabelled") / "scan.nii.gz"
    write_volume(image, scan.data + scan.data.dtype.type(1), scan.grid)
    return replace(dataset, unlabelled=(Case("scan", image),), validation=dataset.training)
