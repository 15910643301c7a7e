"""The nodes in int8 are those that ONNX Runtime itself makes of a uint8 model."""

from __future__ import annotations

from collections import Counter

import onnx
import onnxruntime
import pytest
from bedside.devices.planner.costs import model_cost
from bedside.devices.planner.onnxruntime_fusions import INT8_PREFIX, Links, fused
from bedside.devices.probe.kernels import Kernel
from bedside.devices.probe.networks import kernel_network


def inferred(content: bytes):
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(content), data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = tuple(size.dim_value or 1 for size in value.type.tensor_type.shape.dim)
    return graph, shapes


def executed(content: bytes, path) -> Counter[str]:
    """Returns how often ONNX Runtime runs each operator, after its own changes to the graph."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize("kernel", [Kernel("conv", 16, 16, 16, True), Kernel("matmul", 16, 16, 4, True)])
def test_onnx_runtime_computes_the_same_layers_in_int8(kernel, tmp_path):
    content = kernel_network(kernel, 3, "uint8")
    ours = Counter(node.op_type for node in fused(*inferred(content))[0].node)
    theirs = executed(content, tmp_path / "run.onnx")
    for layer in ("Conv", "MatMul", "LeakyRelu"):
        assert ours[INT8_PREFIX + layer] == theirs[INT8_PREFIX + layer]
    assert ours[INT8_PREFIX + "Conv"] + ours[INT8_PREFIX + "MatMul"] == 3


def test_a_chain_of_convolutions_turns_its_tensors_once_at_either_end():
    graph, shapes = fused(*inferred(kernel_network(Kernel("conv", 16, 16, 16, True), 3, "uint8")))
    in_int8 = [node for node in graph.node if node.op_type.startswith(INT8_PREFIX)]
    conv, activation, turned = (INT8_PREFIX + name for name in ("Conv", "LeakyRelu", "Transpose"))
    assert [node.op_type for node in in_int8] == [
        turned, conv, activation, conv, activation, conv, turned,
    ]  # fmt: skip
    assert shapes[in_int8[0].output[0]] == (1, 16, 16, 16, 16)
    assert in_int8[-1].output[0] in {name for node in graph.node for name in node.input}


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_other_networks_stay_as_they_are(precision):
    graph, shapes = inferred(kernel_network(Kernel("conv", 16, 16, 16, precision == "int8"), 2, "int8"))
    assert fused(graph, shapes) == (graph, shapes)


def test_the_quantizers_at_either_end_convert_and_those_between_the_layers_do_not():
    content = kernel_network(Kernel("conv", 16, 16, 16, True), 2, "uint8")
    graph, _ = inferred(content)
    converting = [node.op_type for node in graph.node if Links(graph).converts(node)]
    assert converting == ["QuantizeLinear", "DequantizeLinear"]
    moved = [node.op for node in model_cost(content).nodes if node.op in converting and not node.fused]
    assert Counter(moved) == {"QuantizeLinear": 1, "DequantizeLinear": 1}
