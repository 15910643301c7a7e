"""A broken graph is refused by name, and the shapes of a graph are known but for its batch."""

import pytest
from bedside.export.onnx_graphs.onnx_helpers import check_onnx, fixed_shapes
from bedside.runtime import BundleError
from onnx import TensorProto, helper


def two_nodes(first_input: str = "image"):
    """Image [batch, 1, 2, 3, 4] → Relu → Transpose to channels last."""
    nodes = [
        helper.make_node("Relu", [first_input], ["positive"]),
        helper.make_node("Transpose", ["positive"], ["moved"], perm=[0, 2, 3, 4, 1]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 2, 3, 4])
    moved = helper.make_tensor_value_info("moved", TensorProto.FLOAT, ["batch", 2, 3, 4, 1])
    graph = helper.make_graph(nodes, "toy", [image], [moved])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_a_graph_that_is_not_valid_is_refused_by_the_name_it_is_given():
    check_onnx(two_nodes(), "toy ONNX")
    with pytest.raises(BundleError, match=r"the toy ONNX is not valid: .*nowhere"):
        check_onnx(two_nodes("nowhere"), "toy ONNX")


def test_shapes_of_the_input_and_between_the_nodes_are_known_and_a_free_batch_is_0():
    assert fixed_shapes(two_nodes()) == {"image": [0, 1, 2, 3, 4], "positive": [0, 1, 2, 3, 4]}
