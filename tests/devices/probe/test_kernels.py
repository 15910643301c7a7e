"""The kernels' networks: valid ONNX, written without the package, that every engine runs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from bedside.devices.planner.costs import model_cost
from bedside.devices.probe.kernels import KERNELS, Kernel
from bedside.devices.probe.networks import kernel_network
from bedside.devices.probe.onnx_graph import OnnxGraph
from bedside.runtime.engines import available_engines, open_engine
from onnx import numpy_helper

SMALLEST = {(kernel.kind, kernel.quantized): kernel for kernel in sorted(KERNELS, key=lambda each: -each.edge)}


def named(kernel: Kernel) -> str:
    return f"{kernel.kind}-{kernel.inner}-{kernel.columns}-{kernel.edge}{'-int8' * kernel.quantized}"


@pytest.mark.parametrize("kernel", KERNELS, ids=named)
def test_a_network_is_valid_onnx(kernel):
    onnx.checker.check_model(onnx.load_from_string(kernel_network(kernel, 2)), full_check=True)


@pytest.mark.parametrize("kernel", SMALLEST.values(), ids=named)
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_engines_run_a_network_to_finite_numbers(engine, kernel):
    if engine not in available_engines():
        pytest.skip(f"{engine} is not installed")
    patch = np.random.default_rng(0).standard_normal((1, 1, *[kernel.edge] * 3), np.float32)
    precision = "int8" if kernel.quantized else "fp32"
    with open_engine(engine, kernel_network(kernel, 2), threads=1, precision=precision, device="CPU") as opened:
        logits = opened.infer(patch)
    assert np.isfinite(logits).all()
    assert logits.std() > 0


def test_a_networks_bytes_are_always_the_same():
    assert kernel_network(KERNELS[0], 2) == kernel_network(KERNELS[0], 2)


def test_a_repeat_adds_the_layer_and_nothing_else():
    once, twice = (model_cost(kernel_network(Kernel("conv", 8, 8, 16), repeats)) for repeats in (1, 2))
    assert twice.flops - once.flops == 2 * 16**3 * 8 * 8 * 27
    assert [node.op for node in once.nodes] == ["Conv", "Conv", "LeakyRelu", "Conv", "Identity"]


@pytest.mark.parametrize("kernel", [each for each in KERNELS if each.quantized], ids=named)
def test_quantized_kernels_compute_in_int8(kernel):
    nodes = model_cost(kernel_network(kernel, 1)).nodes
    assert [node.quantized for node in nodes if node.op in ("Conv", "MatMul")].count(True) == 1


def test_tensors_and_attributes_read_as_they_were_written():
    graph = OnnxGraph()
    values = np.array([-3, 0, 300, -(2**40)])
    graph.add("Conv", ["image", graph.constant(values)], pads=(0, 1, -1), group=1, alpha=0.25, auto_pad="NOTSET")
    model = onnx.load_from_string(graph.model("conv_0", 2, 4))
    (tensor,) = model.graph.initializer
    assert numpy_helper.to_array(tensor).tolist() == values.tolist()
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in model.graph.node[0].attribute}
    assert attributes == {"pads": [0, 1, -1], "group": 1, "alpha": 0.25, "auto_pad": b"NOTSET"}
    assert [each.dim_value or each.dim_param for each in model.graph.input[0].type.tensor_type.shape.dim] == [
        "batch", 1, 4, 4, 4,
    ]  # fmt: skip


@pytest.mark.parametrize("kernel", [each for each in SMALLEST.values() if each.quantized], ids=named)
def test_kernels_of_uint8_run_and_quantize_their_results_too(kernel):
    model = onnx.load_from_string(kernel_network(kernel, 1, "uint8"))
    onnx.checker.check_model(model, full_check=True)
    (layer,) = (node for node in model.graph.node if node.op_type in ("Conv", "MatMul") and "dequant" in node.input[1])
    readers = [node.op_type for node in model.graph.node if layer.output[0] in node.input]
    assert readers == ["QuantizeLinear"]
    with open_engine("onnxruntime", kernel_network(kernel, 2, "uint8"), threads=1, precision="uint8") as opened:
        logits = opened.infer(np.random.default_rng(0).standard_normal((1, 1, *[kernel.edge] * 3), np.float32))
    assert np.isfinite(logits).all()
    assert logits.std() > 0
