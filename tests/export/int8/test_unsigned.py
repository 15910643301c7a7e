"""ONNX Runtime computes the layers of a uint8 model in int8, and nearly what the float32 model computes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from bedside.export.int8.signed import quantize_signed
from bedside.export.int8.unsigned import layers_that_gain, quantize_unsigned
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.runtime import open_engine
from bedside.runtime.errors import UsageError
from onnx import TensorProto, numpy_helper

PATCH = (8, 12, 16)


class Wide(torch.nn.Module):
    """Convolutions of few and of many channels, one behind a Concat, a matrix product and its bias, a 1³ head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv3d(1, 16, 3, padding=1)
        self.narrow = torch.nn.Conv3d(16, 16, 3, padding=1)
        self.wide = torch.nn.Conv3d(16, 32, 3, padding=1)
        self.joined = torch.nn.Conv3d(48, 32, 3, padding=1)
        self.norm = torch.nn.InstanceNorm3d(32)
        self.linear = torch.nn.Linear(32, 32)
        self.head = torch.nn.Conv3d(32, 3, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        narrow = torch.nn.functional.leaky_relu(self.narrow(torch.relu(self.stem(image))))
        wide = torch.nn.functional.leaky_relu(self.wide(narrow))
        joined = self.norm(self.joined(torch.cat((narrow, wide), 1)))
        tokens = self.linear(joined.flatten(2).transpose(1, 2)).transpose(1, 2)
        return self.head(torch.relu(tokens.reshape(joined.shape)))


@pytest.fixture(scope="module")
def patches() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.random((1, 1, *PATCH), np.float32) for _ in range(4)]


@pytest.fixture(scope="module")
def exact() -> onnx.ModelProto:
    torch.manual_seed(3)
    return student_to_onnx(Wide().eval(), PATCH)


@pytest.fixture(scope="module")
def quantized(exact, patches):
    return quantize_unsigned(exact, patches)


def logits(model, patch):
    with open_engine("onnxruntime", model.SerializeToString(), threads=1) as engine:
        return engine.infer(patch)


def executed(model, path) -> list[str]:
    """Returns the operators that ONNX Runtime runs, after its own changes to the graph."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(path).graph.node]


def test_convolutions_of_few_channels_stay_in_float32(exact):
    shapes = {tensor.name: tuple(tensor.dims) for tensor in exact.graph.initializer}
    gaining = [node for node in exact.graph.node if node.name in layers_that_gain(exact)]
    assert [shapes[node.input[1]][:2] for node in gaining] == [(32, 16), (32, 48), (32, 32)]


def test_where_no_layer_gains_all_heavy_ones_are_quantized(patches):
    narrow = torch.nn.Sequential(torch.nn.Conv3d(1, 8, 3, padding=1), torch.nn.Conv3d(8, 3, 3, padding=1))
    assert len(quantize_unsigned(student_to_onnx(narrow, PATCH), patches).layers) == 1


def test_onnx_runtime_computes_the_layers_in_int8_and_of_the_symmetric_model_no_convolution(
    quantized, exact, patches, tmp_path
):
    operators = executed(quantized.model, tmp_path / "unsigned.onnx")
    assert (operators.count("QLinearConv"), operators.count("QLinearMatMul")) == (2, 1)
    assert "QLinearConv" not in executed(quantize_signed(exact, patches).model, tmp_path / "signed.onnx")


def test_it_computes_nearly_what_the_float32_model_does(quantized, exact, patches):
    fp32, uint8 = logits(exact, patches[0]), logits(quantized.model, patches[0])
    assert 0 < np.abs(uint8 - fp32).mean() <= 0.02 * np.ptp(fp32)
    assert (uint8.argmax(1) == fp32.argmax(1)).mean() >= 0.95


def test_activations_are_uint8_and_weights_int8_in_seven_bits_with_a_scale_per_output_channel(quantized):
    tensors = {tensor.name: tensor for tensor in quantized.model.graph.initializer}
    pairs = [node for node in quantized.model.graph.node if node.op_type == "QuantizeLinear"]
    assert {tensors[node.input[2]].data_type for node in pairs} == {TensorProto.UINT8}
    kernels = [tensor for tensor in tensors.values() if tensor.data_type == TensorProto.INT8 and len(tensor.dims) > 1]
    assert sorted(tuple(tensor.dims[:2]) for tensor in kernels) == [(32, 16), (32, 32), (32, 48)]
    assert all(np.abs(numpy_helper.to_array(tensor).astype(int)).max() <= 64 for tensor in kernels)
    scales = [node.input[1] for node in quantized.model.graph.node if node.input[0] in {each.name for each in kernels}]
    assert [tuple(tensors[name].dims) for name in scales] == [(32,)] * 3


def test_with_all_layers_in_float_the_model_is_the_exact_one(quantized, exact, patches):
    back = quantized.without(quantized.layers).model
    assert np.abs(logits(back, patches[0]) - logits(exact, patches[0])).max() < 1e-5
    assert not any("Quantize" in node.op_type for node in back.graph.node)


def test_one_layer_returns_and_the_others_keep_their_scales(quantized):
    back = quantized.without(quantized.layers[:1])
    assert back.layers == quantized.layers[1:]
    before, after = (
        {tensor.name: tensor for tensor in each.model.graph.initializer if tensor.name.endswith("_scale")}
        for each in (quantized, back)
    )
    assert 0 < len(after) < len(before)
    assert all(before[name] == tensor for name, tensor in after.items())


def test_the_same_patches_give_the_same_bytes(quantized, exact, patches):
    again = quantize_unsigned(exact, patches).model
    assert again.SerializeToString(deterministic=True) == quantized.model.SerializeToString(deterministic=True)


def test_the_float32_model_is_not_modified(exact, patches):
    before = exact.SerializeToString(deterministic=True)
    quantize_unsigned(exact, patches).model  # noqa: B018
    assert exact.SerializeToString(deterministic=True) == before


def test_without_patches_or_layers_it_is_refused(exact, patches):
    with pytest.raises(UsageError, match="int8 needs calibration patches, got none"):
        quantize_unsigned(exact, [])
    with pytest.raises(UsageError, match="no layer to quantize"):
        quantize_unsigned(student_to_onnx(torch.nn.Conv3d(1, 3, 3, padding=1), PATCH), patches)
