"""Sums in parts: the same normalisation, exact where the engines' own is not, and nothing else changes."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import onnx
import pytest
import torch
from bedside.export.onnx_graphs.norms_in_parts import norms_in_parts, volume_edges
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.runtime.engines import open_engine
from bedside.runtime.engines.tensorrt.builder import build_plan

ENGINES = ("onnxruntime", "openvino")


def network(norm: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Returns a convolution to eight channels, a norm with random scales and biases, and a convolution to three."""
    torch.manual_seed(seed)
    layers = torch.nn.Sequential(torch.nn.Conv3d(1, 8, 3, padding=1), norm, torch.nn.Conv3d(8, 3, 1)).eval()
    for weight in norm.parameters():
        torch.nn.init.normal_(weight)
    return layers


def block_in_air(edge: int) -> np.ndarray:
    """Returns [1, 1, D, H, W]: noise in a block of an eighth of the volume, 0 around it."""
    patch = np.zeros((1, 1, edge, edge, edge), np.float32)
    half = edge // 2
    patch[..., half:, half:, half:] = np.random.default_rng(0).random((half, half, half))
    return patch


def error(model: onnx.ModelProto, network: torch.nn.Module, patches: np.ndarray, engine: str) -> float:
    """Returns how far an engine is from torch in float64, as a share of the largest logit."""
    with torch.inference_mode():
        exact = network.double()(torch.from_numpy(patches).double()).numpy()
    network.float()
    with closing(open_engine(engine, model.SerializeToString(), threads=1)) as opened:
        return float(np.abs(opened.infer(patches) - exact).max() / np.abs(exact).max())


@pytest.mark.parametrize(
    "norm",
    [torch.nn.InstanceNorm3d(8), torch.nn.InstanceNorm3d(8, affine=True, eps=0.1), torch.nn.GroupNorm(2, 8)],
    ids=["instance", "affine", "groups"],
)
def test_the_result_is_torchs_in_float64_for_every_batch(norm):
    student = network(norm)
    model = student_to_onnx(student, (16, 20, 24))
    mended = norms_in_parts(model)
    onnx.checker.check_model(mended, full_check=True)
    assert "InstanceNormalization" in {node.op_type for node in model.graph.node}
    assert "InstanceNormalization" not in {node.op_type for node in mended.graph.node}
    for batch in (1, 2):
        patches = np.random.default_rng(batch).normal(3, 2, (batch, 1, 16, 20, 24)).astype(np.float32)
        assert max(error(mended, student, patches, engine) for engine in ENGINES) <= 2e-6


def test_a_block_in_air_is_normalised_more_than_ten_times_as_exactly_as_by_the_engines():
    student, patch = network(torch.nn.InstanceNorm3d(8)), block_in_air(64)
    model = student_to_onnx(student, (64, 64, 64))
    for engine in ENGINES:
        after = error(norms_in_parts(model), student, patch, engine)
        assert after <= 1e-5
        assert error(model, student, patch, engine) >= 10 * after


def test_a_channel_whose_mean_is_a_thousand_times_its_deviation_keeps_four_digits():
    student = torch.nn.Sequential(torch.nn.Conv3d(1, 3, 1, bias=False), torch.nn.InstanceNorm3d(3)).eval()
    torch.nn.init.ones_(student[0].weight)
    patch = np.random.default_rng(0).normal(1000, 1, (1, 1, 32, 32, 32)).astype(np.float32)
    mended = norms_in_parts(student_to_onnx(student, (32, 32, 32)))
    assert max(error(mended, student, patch, engine) for engine in ENGINES) <= 1e-4


def test_the_bytes_repeat_and_the_model_given_stays():
    model = student_to_onnx(network(torch.nn.InstanceNorm3d(8, affine=True)), (16, 16, 16))
    before = model.SerializeToString(deterministic=True)
    first, second = (norms_in_parts(model).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second != before
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("norm", "patch"),
    [
        (torch.nn.BatchNorm3d(8), (16, 16, 16)),
        (torch.nn.InstanceNorm3d(8), (15, 16, 16)),
    ],
    ids=["batch norm", "small"],
)
def test_small_volumes_and_other_norms_are_passed_over(norm, patch):
    model = student_to_onnx(network(norm), patch)
    assert norms_in_parts(model) is model


@pytest.mark.parametrize(("voxels", "edges"), [(4096, [16, 16, 16]), (30720, [30, 32, 32]), (4099, [1, 1, 4099])])
def test_a_flat_volume_is_split_into_edges_of_about_the_same_length(voxels, edges):
    """A prime number of voxels has no other edges; its squares are summed in one run, as engines do."""
    assert volume_edges(voxels) == edges


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
def test_tensorrt_builds_it():
    rtx = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is for x86-64 alone")
    mended = norms_in_parts(student_to_onnx(network(torch.nn.InstanceNorm3d(8)), (16, 16, 16)))
    assert build_plan(rtx, mended.SerializeToString(), exact=True).plan
