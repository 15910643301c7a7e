"""The logic of the scripts in benchmarks/loader; the measurements themselves are repeated by hand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.runtime.task import Intensity, Modality, Task
from bedside.training.data.crops import CropSource
from bedside.training.data.dataset import Case
from bedside.training.data.prepare import prepare_cases
from bedside.training.recipe import Augmentation

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "loader"
TASK = Task(
    name="cube", modality=Modality.CT, labels=("background", "cube", "ball"), spacing=(4.0, 4.0, 4.0),
    intensity=Intensity(clip=(-200.0, 300.0), scale_to=(0.0, 1.0)), patch=(16, 16, 16),
)  # fmt: skip


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return import_module


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cube")
    image, labels = np.full((24, 22, 20), -1000, np.int16), np.zeros((24, 22, 20), np.uint8)
    image[2:22, 2:20], labels[8:14, 8:14, 8:14] = 40, 1
    for name, data in (("image", image), ("label", labels)):
        write_volume(folder / f"{name}.nii.gz", data, Grid(data.shape, np.diag([4.0, 4.0, 4.0, 1.0])))
    return prepare_cases([Case("a", folder / "image.nii.gz", folder / "label.nii.gz")], TASK, folder / "cases")[0]


@pytest.mark.parametrize("loader", ["bedside", "monai-cache", "monai-cache-indices", "monai-persistent"])
def test_every_loader_gives_one_crop_of_the_same_shapes_and_types(script, prepared, tmp_path, loader):
    loaders = script("crop_loaders")
    source = CropSource(prepared, loaders.write_teacher(prepared, 3, tmp_path))
    crop = loaders.build(loader, [source], TASK, Augmentation(flip=0.5, rotate=0.5), tmp_path)(0)
    crop = crop[0] if isinstance(crop, list) else crop
    shapes = {key: (tuple(crop[key].shape), crop[key].dtype) for key in ("image", "label", "teacher")}
    assert shapes == {
        "image": ((1, 16, 16, 16), torch.float32),
        "label": ((1, 16, 16, 16), torch.int64),
        "teacher": ((3, 16, 16, 16), torch.uint8 if loader == "bedside" else torch.float16),
    }
    certain = torch.as_tensor(crop["teacher"]).argmax(0)
    assert torch.equal(certain, torch.as_tensor(crop["label"])[0])  # cut and turned alike


def test_ratios_are_taken_to_bedsides_median_with_the_same_patch_and_teacher(script):
    Row = script("crop_cost").Row
    rows = [
        Row(64, False, "bedside", [2.0, 1.0, 9.0], [2.0, 1.0, 9.0]),
        Row(64, False, "monai-cache", [8.0, 10.0, 9.0], [8.0, 10.0, 9.0]),
        Row(64, True, "bedside", [30.0], [30.0]),
        Row(64, True, "monai-cache", [60.0], [60.0]),
    ]
    lines = script("crop_cost").table(rows).splitlines()
    assert lines[3] == "| 64³ | no | monai-cache | 9.0 (10.0) | 9.0 | 4.5 | 3 % |"
    assert lines[5] == "| 64³ | yes | monai-cache | 60.0 (60.0) | 60.0 | 2.0 | 20 % |"
