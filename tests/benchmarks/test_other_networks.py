"""The steps of nnU-Net's predictor, as nnU-Net 2.8.1 computed them; and bedside's labels against these steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bedside.export import ExportOptions, export_bundle
from bedside.export.networks.exported_network import exported_network
from bedside.runtime import Grid, Segmenter, Task, Volume
from bedside.runtime.axes import DHW
from bedside.runtime.task import Intensity, Modality
from bedside.runtime.windows.plan import gaussian_weight, plan_windows

FOLDER = Path(__file__).parents[2] / "benchmarks" / "other_networks"


@pytest.fixture
def steps(import_script):
    return import_script(FOLDER, ["nnunet_steps"])("nnunet_steps")


def ct(spacing: tuple[float, float, float], patch: tuple[int, int, int] = (16, 16, 16)) -> Task:
    """A task of nnU-Net's CTNormalization."""
    return Task(
        name="ct numbers",
        modality=Modality.CT,
        labels=("background", "tissue", "bone"),
        spacing=spacing,
        orientation="LPS",
        intensity=Intensity(clip=(-800.0, 1200.0), subtract=100.0, divide=200.0, padding=0.0),
        patch=patch,
    )


@pytest.mark.parametrize(
    ("size", "patch", "theirs", "ours"),
    [
        (32, 32, (0,), (0,)),
        (33, 32, (0, 1), (0, 1)),
        (48, 32, (0, 16), (0, 16)),
        (49, 32, (0, 8, 17), (0, 16, 17)),
        (65, 32, (0, 11, 22, 33), (0, 16, 32, 33)),
        (110, 64, (0, 23, 46), (0, 32, 46)),
        (120, 48, (0, 24, 48, 72), (0, 24, 48, 72)),
        (127, 40, (0, 17, 35, 52, 70, 87), (0, 20, 40, 60, 80, 87)),
    ],
)
def test_as_many_windows_but_the_last_is_moved_back_instead_of_spreading_all(steps, size, patch, theirs, ours):
    assert steps.spread_starts(size, patch) == theirs
    assert plan_windows((size, 1, 1), (patch, 1, 1), overlap=0.5).axes[0] == ours


def test_the_weights_are_a_gaussian_of_the_same_width_half_a_voxel_further(steps):
    weight = steps.half_weight(DHW(4, 6, 8))
    assert weight.dtype == np.float16
    # The outermost voxels of nnU-Net's are smaller still; differences there do not matter.
    np.testing.assert_allclose(weight[1:, 3, 4], [1.3535156, 10, 1.3535156])
    np.testing.assert_allclose(weight[2, 1:, 4], [0.28564453, 4.109375, 10, 4.109375, 0.28564453])
    np.testing.assert_allclose(
        weight[2, 3, 1:], [0.11108398, 1.3535156, 6.0664062, 10, 6.0664062, 1.3535156, 0.11108398]
    )
    assert weight.min() == np.float16(6e-8)  # float16 has nothing smaller
    assert gaussian_weight(DHW(4, 6, 8))[2, 3, 4] == pytest.approx(np.exp(-0.5 * (1 + (4 / 6) ** 2 + 0.5**2)))


def tiny_scan() -> np.ndarray:
    z, y, x = np.mgrid[:4, :5, :6]
    return (((7 * x + 13 * y + 29 * z) ** 2) % 3000 - 1024).astype(np.float32)


@pytest.mark.parametrize(
    ("old", "new", "along_z", "along_x"),
    [
        (
            (3.0, 2.0, 2.0),
            (2.0, 2.0, 3.0),
            [1.5965, 2.21976, 1.40032, -1.21558, -0.56038, 1.32105],
            [-3.54271, 2.21976, 5.09287, 1.33019],
        ),
        (  # slices four times as thick as voxels are wide: the nearest one is repeated
            (8.0, 2.0, 2.0),
            (5.0, 2.0, 3.0),
            [1.69825, 1.92152, 1.92152, -1.47896, 1.05359, 1.05359],
            [-4.01197, 1.92152, 3.86284, 3.1974],
        ),
        (  # the same number of voxels: not resampled, whatever the spacing
            (2.0, 2.0, 2.1),
            (2.0, 2.2, 2.0),
            [-0.175, -1.4, 5.5, 5.5],
            [-4.5, -1.4, 3.185, 5.5, -1.175, 4.88],
        ),
    ],
)
def test_a_scan_is_prepared_as_nnunet_prepares_it(steps, old, new, along_z, along_x):
    prepared = steps.prepare(tiny_scan(), old, ct(new[::-1]), steps.NNUNET)
    assert prepared[:, 2, 1] == pytest.approx(along_z, abs=2e-5)
    assert prepared[1, 2] == pytest.approx(along_x, abs=2e-5)


class Tissues(torch.nn.Module):
    """Logits of air, tissue and bone, by the CT number averaged over 3³ voxels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = torch.nn.functional.avg_pool3d(x, 3, 1, 1, count_include_pad=False)
        return torch.cat((-4 - 2 * mean, torch.full_like(mean, 0.5), 4 * mean - 4), 1)


@pytest.fixture
def head():
    """A ball of tissue with bones in air, 48×40×30 mm, stored at 1.2×1×1.5 mm."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in (40, 40, 20)), indexing="ij")
    hu = np.full(x.shape, -1000.0)
    hu[x**2 + y**2 + z**2 < 0.8] = 20
    hu[(np.abs(x) < 0.3) & (np.abs(y - 0.3) < 0.3) & (np.abs(z) < 0.6)] = 900
    noise = np.random.default_rng(0).normal(0, 15, hu.shape)
    return Volume((hu + noise).astype(np.int16), Grid(hu.shape, np.diag([-1.2, -1.0, 1.5, 1.0])))


def test_bedsides_own_steps_are_those_of_a_bundle_and_near_nnunets(steps, head, tmp_path):
    task = ct((1.5, 1.5, 1.5))
    network = exported_network(Tissues(), task, "tissues", {})
    bundle = export_bundle(network, tmp_path / "tissues.bedside", ExportOptions(precisions=["fp32"], threads=1))
    with Segmenter.load(bundle, "onnxruntime", "fp32", threads=1) as segmenter:
        result = segmenter.segment(head, skip_air=False)
    labels = steps.in_network_axes(Volume(result.labels, head.grid), task)[0]
    assert result.windows > 8
    assert np.mean(steps.labels_of(network.model, task, head, steps.BEDSIDE) == labels) >= 0.9999
    assert np.mean(steps.labels_of(network.model, task, head, steps.NNUNET) == labels) >= 0.98
