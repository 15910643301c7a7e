"""Students whose answers a person can compute, and scans they segment without error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from bedside.export import ExportCases, ExportOptions, TrainedStudent, export_bundle
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.runtime import Grid, Task, write_volume
from bedside.runtime.task import Intensity, Modality
from bedside.training.runs.learned_from import LearnedFrom
from monai.networks.nets.swin_unetr import SwinUNETR, WindowAttention

FAT, BONE = 1, 2
HU = {0: -1000.0, FAT: -100.0, BONE: 800.0}
PATCH_XYZ = (16, 12, 8)


def nearest_intensity_student() -> torch.nn.Module:
    """Labels each voxel by the nearest of three intensities; a second, spatial convolution passes the logits on."""
    means = torch.tensor([(hu + 1000) / 2000 for hu in HU.values()])
    first = torch.nn.Conv3d(1, 3, 1)
    second = torch.nn.Conv3d(3, 3, 3, padding=1, bias=False)
    with torch.no_grad():
        first.weight.copy_(40 * means.reshape(3, 1, 1, 1, 1))
        first.bias.copy_(-20 * means**2)
        second.weight.zero_()
        for channel in range(3):
            second.weight[channel, channel, 1, 1, 1] = 1
    return torch.nn.Sequential(first, second)


@pytest.fixture
def toy_student() -> torch.nn.Module:
    return nearest_intensity_student()


@pytest.fixture(scope="session")
def toy_task() -> Task:
    return Task(
        name="toy",
        modality=Modality.CT,
        labels=("background", "fat", "bone"),
        spacing=(3.0, 3.0, 3.0),
        intensity=Intensity(clip=(-1000.0, 1000.0), scale_to=(0.0, 1.0)),
        patch=PATCH_XYZ,
    )


@pytest.fixture
def toy_trained(toy_student: torch.nn.Module, toy_task: Task) -> TrainedStudent:
    return TrainedStudent(model=toy_student, task=toy_task, student="toy")


@pytest.fixture
def export_toy(toy_trained: TrainedStudent, tmp_path: Path) -> dict[str, Any]:
    """Arguments of `export_bundle` for the quickest export: fp32 alone, without scans."""
    options = ExportOptions(precisions=["fp32"], threads=1)
    return {"student": toy_trained, "out": tmp_path / "toy.bedside", "options": options}


@pytest.fixture
def toy_case(tmp_path: Path) -> tuple[Path, Path]:
    """A block of fat with a core of bone in air, and its labels."""
    return write_case(tmp_path)


def write_case(folder: Path) -> tuple[Path, Path]:
    labels = np.zeros((20, 16, 12), np.uint8)
    labels[4:16, 4:12, 3:9] = FAT
    labels[8:12, 6:10, 5:7] = BONE
    image = np.vectorize(HU.get)(labels).astype(np.float32)
    grid = Grid(labels.shape, np.diag([3.0, 3.0, 3.0, 1.0]))
    write_volume(folder / "image.nii.gz", image, grid)
    write_volume(folder / "label.nii.gz", labels, grid)
    return folder / "image.nii.gz", folder / "label.nii.gz"


@pytest.fixture(scope="session")
def toy_bundle(toy_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the toy student with int8, gated on the one case that calibrates it; not to be altered."""
    student = TrainedStudent(
        model=nearest_intensity_student(),
        task=toy_task,
        student="toy-student",
        teacher="toy-teacher",
        lam=0.5,
        learned_from=LearnedFrom(data_hash="ab" * 32, scans=frozenset({"cd" * 32, "ef" * 32}), knows_all=True),
        metrics={"epoch": "7", "dice": ""},
    )
    folder = tmp_path_factory.mktemp("toy")
    case = write_case(folder)
    cases = ExportCases(calibration=[case[0]], gate=[case])
    return export_bundle(student, folder / "toy.bedside", ExportOptions(cases=cases, patches=2, threads=1))


@pytest.fixture(scope="session")
def swin() -> torch.nn.Module:
    """A SwinUNETR for 64³: two stages shift windows, and position biases and attention are far from none."""
    torch.manual_seed(0)
    network = SwinUNETR(
        in_channels=1, out_channels=3, feature_size=12, depths=(2, 2, 1, 1), num_heads=(3, 6, 4, 8), spatial_dims=3
    )
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, WindowAttention):
                module.relative_position_bias_table.normal_(std=2.0)
                module.qkv.weight.mul_(4.0)
    return network.eval()


@pytest.fixture(scope="session")
def swin_onnx(swin: torch.nn.Module) -> onnx.ModelProto:
    return student_to_onnx(swin, (64, 64, 64))
