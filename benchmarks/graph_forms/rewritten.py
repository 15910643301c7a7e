"""Forms of an ONNX that `bedside export` does not write; `forms.py` times them."""

from __future__ import annotations

import numpy as np
import onnx
from bedside.export.onnx_graphs.onnx_helpers import fixed_shapes
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def bias_as_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy in which every value that depends on constants alone is a constant: tables gathered by indices."""
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    graph = rewritten.graph
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") or not {*node.input} <= constants.keys():
            nodes.append(node)
            continue
        given = {name: constants[name] for name in node.input}
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in given.items()
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
        alone = helper.make_model(helper.make_graph([node], "node", inputs, outputs), opset_imports=model.opset_import)
        for name, value in zip(node.output, ReferenceEvaluator(alone).run(None, given), strict=True):
            constants[name] = np.asarray(value)
            graph.initializer.append(numpy_helper.from_array(constants[name], name))
    return _with_nodes(rewritten, nodes)


def transposed_as_convolutions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy in which each transposed convolution of 2³ with stride 2 is a convolution of 1³.

    It gives 8 times the channels, which then take their places as voxels.
    """
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    graph, shapes = rewritten.graph, fixed_shapes(model)
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "ConvTranspose" or constants[node.input[1]].shape[2:] != (2, 2, 2):
            nodes.append(node)
            continue
        weight, size, name = constants[node.input[1]], shapes[node.input[0]][2:], f"voxels{len(nodes)}"
        inputs, outputs = weight.shape[:2]
        added = {
            "weight": np.ascontiguousarray(weight.transpose(1, 2, 3, 4, 0).reshape(-1, inputs, 1, 1, 1)),
            "apart": np.array([0, outputs, 2, 2, 2, *size]),
            "whole": np.array([0, outputs, *(2 * length for length in size)]),
            **({"bias": np.repeat(constants[node.input[2]], 8)} if len(node.input) > 2 else {}),
        }
        graph.initializer.extend(numpy_helper.from_array(value, f"{name}.{key}") for key, value in added.items())
        weights = [f"{name}.{key}" for key in ("weight", "bias") if key in added]
        nodes += [
            helper.make_node("Conv", [node.input[0], *weights], [f"{name}.conv"], kernel_shape=[1, 1, 1]),
            helper.make_node("Reshape", [f"{name}.conv", f"{name}.apart"], [f"{name}.parts"]),
            helper.make_node("Transpose", [f"{name}.parts"], [f"{name}.placed"], perm=[0, 1, 5, 2, 6, 3, 7, 4]),
            helper.make_node("Reshape", [f"{name}.placed", f"{name}.whole"], list(node.output)),
        ]
    return _with_nodes(rewritten, nodes)


def _with_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    """Gives a model other nodes, removes the constants that none of them reads, and returns it."""
    graph = model.graph
    used = {name for node in nodes for name in node.input}
    kept = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    return model
