"""The whole way of a scan, against MONAI's transforms and sliding window as an independent reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bedside.runtime import Grid, Segmenter, Volume
from bedside.runtime.preprocessing.preprocess import to_model_input
from bedside.runtime.windows.blend import WindowScores, blend
from bedside.runtime.windows.plan import plan_windows
from monai.data import MetaTensor
from monai.inferers.utils import sliding_window_inference
from monai.transforms import SpatialResample

CLASSES = 3


@pytest.fixture(scope="module")
def scan():
    """A smooth CT on an oblique-free but unequal grid, with a left and a right."""
    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in (60, 52, 40)), indexing="ij")
    hu = np.where((x / 0.9) ** 2 + (y / 0.8) ** 2 < 1, 400 * np.sin(3 * x + 2 * y) * np.cos(4 * z), -1000)
    hu = (hu + rng.normal(0, 20, hu.shape)).astype(np.float32)
    return Volume(hu, Grid(hu.shape, np.diag([-1.1, -1.3, 2.1, 1.0])))  # LPS


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    convolution = torch.nn.Conv3d(1, CLASSES, 3, padding=1)
    with torch.no_grad():
        convolution.weight *= 6
    return convolution.eval()


def monai_input(scan, task, grid):
    """MONAI's resampling onto the model's grid, then clip and scale; [1, X, Y, Z]."""
    image = MetaTensor(torch.from_numpy(scan.data.copy())[None], affine=torch.from_numpy(scan.grid.affine.copy()))
    resample = SpatialResample(mode="bilinear", padding_mode="border", align_corners=False, dtype=np.float64)
    moved = resample(image, dst_affine=torch.from_numpy(grid.affine.copy()), spatial_size=grid.shape)
    (low, high), (start, end) = task.intensity.clip, task.intensity.scale_to
    return (moved.as_tensor().clamp(low, high) - low) / (high - low) * (end - start) + start


def monai_probabilities(image, task, network, overlap):
    """Blended over windows, [C, D, H, W]."""
    with torch.inference_mode():
        logits = sliding_window_inference(
            image.float().permute(0, 3, 2, 1)[None], task.patch.dhw, 1, network, overlap, mode="gaussian"
        )
    return logits[0].softmax(0).numpy()


@pytest.mark.parametrize("spacing", [(1.5, 1.5, 1.5), (3.0, 2.0, 2.5), (0.9, 1.3, 1.7)])
def test_resampled_intensities_are_monais(scan, task, spacing):
    task = task.replaced(spacing=spacing)
    ours = to_model_input(scan, task)
    theirs = monai_input(scan, task, ours.grid)[0].permute(2, 1, 0).numpy()
    assert np.abs(ours.array - theirs).max() <= 1e-4


@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.75])
def test_blended_probabilities_are_monais(scan, task, network, overlap):
    task = task.replaced(spacing=(2.0, 2.0, 2.0))
    ours = to_model_input(scan, task)
    plan = plan_windows(ours.array.shape, task.patch.dhw, overlap)

    def windows():
        with torch.inference_mode():
            for start in plan.starts:
                patch = np.ascontiguousarray(ours.array[plan.window(start)])
                yield WindowScores(start, network(torch.from_numpy(patch)[None, None])[0].numpy())

    logits = np.empty((CLASSES, *plan.shape), np.float32)
    for block in blend(plan, windows(), CLASSES):
        planes, rows = block.scores.shape[1:3]
        logits[:, block.z : block.z + planes, block.y : block.y + rows] = block.scores
    blended = torch.from_numpy(logits).softmax(0).numpy()
    expected = monai_probabilities(monai_input(scan, task, ours.grid), task, network, overlap)
    assert np.abs(blended - expected).max() <= 1e-4


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("spacing", [None, (2.0, 2.0, 2.0)])
def test_labels_are_monais_wherever_the_margin_is_clear(scan, task, network, toy, tmp_path, engine, spacing):
    """With the scan's own spacing the labels are the model's; with another they are interpolated back linearly."""
    task = task.replaced(spacing=spacing or scan.grid.reoriented("RAS").spacing)
    weight, bias = (parameter.detach().numpy() for parameter in (network.weight, network.bias))
    bundle = toy.write_bundle(tmp_path / "b.bedside", task, toy.conv_model(weight, bias, task.patch.dhw))
    with Segmenter.load(bundle, engine, "fp32", threads=1, self_test=False) as segmenter:
        labels = segmenter.segment(scan, overlap=0.5, skip_air=False).labels
    grid = to_model_input(scan, task).grid
    image = monai_input(scan, task, grid)
    with torch.inference_mode():
        logits = sliding_window_inference(
            image.float().permute(0, 3, 2, 1)[None], task.patch.dhw, 1, network, 0.5, mode="gaussian"
        )[0]
    back = SpatialResample(mode="bilinear", padding_mode="border", align_corners=False, dtype=np.float64)
    scores = MetaTensor(logits.permute(0, 3, 2, 1), affine=torch.from_numpy(grid.affine.copy()))
    scores = back(scores, dst_affine=torch.from_numpy(scan.grid.affine.copy()), spatial_size=scan.grid.shape)
    probabilities = scores.as_tensor().softmax(0)
    best = probabilities.topk(2, dim=0).values
    clear = (best[0] - best[1] > 1e-3).numpy()
    assert clear.mean() > 0.95  # this comparison covers nearly all voxels
    assert len(np.unique(labels)) == CLASSES
    assert np.array_equal(labels[clear], probabilities.argmax(0).numpy()[clear])
