"""Operations and bytes per node, against calculations by hand and the trainer's own prediction."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import onnx
import pytest
from bedside.devices.planner.costs import ModelCost, model_cost
from bedside.runtime.errors import BundleError, MissingExtraError
from onnx import TensorProto, helper, numpy_helper


def cost_of(
    nodes: list[onnx.NodeProto], image: list[int | str], logits: list[int | str], **weights: tuple[int, ...]
) -> ModelCost:
    graph = helper.make_graph(
        nodes,
        "hand",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, logits)],
        [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model_cost(model.SerializeToString())


def one(op: str, inputs: list[str], image: list[int | str], logits: list[int | str], **given: Any):
    weights = {name: shape for name, shape in given.items() if name in inputs}
    attributes = {name: value for name, value in given.items() if name not in inputs}
    (node,) = cost_of([helper.make_node(op, inputs, ["y"], **attributes)], image, logits, **weights).nodes
    return node


def test_a_convolution():
    weights = {"w": (8, 4, 3, 3, 3), "b": (8,)}
    node = one("Conv", ["x", "w", "b"], ["n", 4, 10, 10, 10], ["n", 8, 10, 10, 10], **weights, pads=[1] * 6)
    assert node.operations == 2 * 8 * 1000 * 4 * 27
    assert (node.read, node.written, node.parameters) == (4000, 8000, 8 * 4 * 27 + 8)


def test_a_depthwise_convolution():
    node = one("Conv", ["x", "w"], ["n", 8, 10, 10, 10], ["n", 8, 10, 10, 10], w=(8, 1, 3, 3, 3), pads=[1] * 6, group=8)
    assert node.operations == 2 * 8 * 1000 * 27


def test_a_transposed_convolution():
    node = one("ConvTranspose", ["x", "w"], ["n", 4, 5, 5, 5], ["n", 8, 10, 10, 10], w=(4, 8, 2, 2, 2), strides=[2] * 3)
    assert node.operations == 2 * 4 * 125 * 8 * 8
    assert (node.read, node.written, node.parameters) == (500, 8000, 256)


def test_a_matrix_product():
    node = one("MatMul", ["x", "w"], ["n", 3, 7, 5], ["n", 3, 7, 2], w=(5, 2))
    assert node.operations == 2 * 3 * 7 * 2 * 5


def test_an_instance_norm():
    node = one("InstanceNormalization", ["x", "s", "b"], ["n", 4, 10, 10, 10], ["n", 4, 10, 10, 10], s=(4,), b=(4,))
    assert (node.operations, node.read, node.written, node.parameters) == (8 * 4000, 4000, 4000, 8)


def test_an_activation_after_a_convolution_moves_no_bytes_of_its_own():
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Relu", ["c"], ["y"])]
    cost = cost_of(nodes, ["n", 1, 4, 4, 4], ["n", 2, 4, 4, 4], w=(2, 1, 1, 1, 1))
    assert [node.fused for node in cost.nodes] == [False, True]
    assert cost.flops == 2 * 2 * 64


def test_an_activation_of_what_others_read_too_moves_its_bytes():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Concat", ["c", "r"], ["y"], axis=1),
    ]
    cost = cost_of(nodes, ["n", 1, 4, 4, 4], ["n", 4, 4, 4, 4], w=(2, 1, 1, 1, 1))
    assert not cost.nodes[1].fused
    assert cost.peak_values == 64 * (2 + 2 + 4)  # both and their concatenation; the image was freed


def test_only_nodes_between_quantizers_are_int8():
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["e"]),
        helper.make_node("Conv", ["d", "e"], ["c"]),
        helper.make_node("Conv", ["c", "f"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "hand",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2, 4, 4, 4])],
        [
            numpy_helper.from_array(np.float32(1), "s"),
            numpy_helper.from_array(np.int8(0), "z"),
            numpy_helper.from_array(np.ones((2, 1, 1, 1, 1), np.int8), "w"),
            numpy_helper.from_array(np.ones((2, 2, 1, 1, 1), np.float32), "f"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    cost = model_cost(model.SerializeToString())
    assert [(node.op, node.quantized) for node in cost.nodes if node.op == "Conv"] == [("Conv", True), ("Conv", False)]
    assert [node.quantized for node in cost.quantized().nodes if node.op == "Conv"] == [True, True]
    assert cost.flops == 2 * 64 * 2 + 2 * 64 * 2 * 2


def test_no_onnx_is_refused():
    with pytest.raises(BundleError, match="the operations of the ONNX cannot be counted"):
        model_cost(b"not a model")


def test_a_product_without_columns_is_refused():
    product = helper.make_node("MatMul", ["x", "w"], ["s"])  # of two vectors: a number
    with pytest.raises(BundleError, match='cannot be counted: "s" of a MatMul has the shape none'):
        cost_of([product, helper.make_node("Mul", ["s", "x"], ["y"])], ["n"], ["n"], w=(1,))


def test_a_node_without_input_is_refused():
    with pytest.raises(BundleError, match="RandomNormal has no input"):
        cost_of([helper.make_node("RandomNormal", [], ["y"], shape=[1, 1, 8, 8, 8])], [1, 1, 8, 8, 8], [1, 1, 8, 8, 8])


def test_the_extra_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"onnx is not installed; run: pip install 'bedside\[plan\]'"):
        model_cost(b"")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet-edge-tiny", "unet-nano"])
def test_students_cost_what_the_trainer_predicts(name):
    from bedside.distill import STUDENTS, build_student
    from bedside.export.onnx_graphs.onnx_export import student_to_onnx

    spec = STUDENTS[name]
    patch = spec.patch_rule.smallest
    predicted = spec.cost(num_classes=3, patch=patch)
    cost = model_cost(student_to_onnx(build_student(name, num_classes=3), patch).SerializeToString())
    assert cost.flops == predicted.flops
    assert cost.parameters == pytest.approx(predicted.parameters, rel=0.02)  # normalisation is fused into convolutions
    assert 0.5 < 4 * cost.peak_values / predicted.activation_bytes < 1.1  # torch computes nothing in place
