"""Channels that move last do so in a flat volume; nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from bedside.export.onnx_graphs.flat_transposes import flatten_transposes
from onnx import TensorProto, helper


def transposing(shape: Sequence[int | str], perm: Sequence[int]) -> onnx.ModelProto:
    node = helper.make_node("Transpose", ["x"], ["y"], "move", perm=perm)
    values = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, shape),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[axis] for axis in perm]),
    ]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.mark.parametrize("batch", [1, 2])
def test_the_result_is_the_same_for_every_batch_without_a_transpose_of_five_axes(batch):
    model = transposing(["batch", 3, 4, 5, 6], [0, 2, 3, 4, 1])
    flatten_transposes(model)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Reshape", "Transpose", "Reshape"]
    assert helper.get_node_attr_value(model.graph.node[1], "perm") == [0, 2, 1]
    x = np.arange(batch * 360, dtype=np.float32).reshape(batch, 3, 4, 5, 6)
    y = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    assert np.array_equal(y, np.moveaxis(x, 1, -1))


@pytest.mark.parametrize(
    ("shape", "perm"),
    [
        (["batch", 3, 4, 5, 6], [0, 4, 1, 2, 3]),
        (["batch", 3, 4, 5], [0, 2, 3, 1]),
        (["batch", 3, "depth", 5, 6], [0, 2, 3, 4, 1]),
    ],
)
def test_other_transposes_and_volumes_of_no_fixed_size_are_passed_over(shape, perm):
    model = transposing(shape, perm)
    before = model.SerializeToString()
    flatten_transposes(model)
    assert model.SerializeToString() == before
