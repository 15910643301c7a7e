"""Moves channels last on a flattened volume: the same numbers, in a memory order that OpenVINO runs faster.

For a Transpose [B, C, D, H, W] → [B, D, H, W, C], OpenVINO 2026.4 on the CPU keeps the memory in a convolution's order,
and then reorders it before every layer norm and linear layer that follows, and back after. As [B, C, DHW] →
[B, DHW, C] it transposes once: 6 % less time in float32 for the smallest SwinUNETR at 96³.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .onnx_helpers import fixed_shapes

if TYPE_CHECKING:
    import onnx

_CHANNELS_LAST = [0, 2, 3, 4, 1]


def flatten_transposes(model: onnx.ModelProto) -> None:
    """Replaces each Transpose that moves a volume's channels last by Reshape, Transpose and Reshape, in place.

    Args:
        model: ONNX with fixed channels and volume; other transpositions are not changed.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    graph = model.graph
    shapes = fixed_shapes(model)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        fixed = shapes.get(node.input[0], [])[1:] if node.op_type == "Transpose" else []
        if not (fixed and all(fixed) and helper.get_node_attr_value(node, "perm") == _CHANNELS_LAST):
            nodes.append(node)
            continue
        channels, *volume = fixed
        name, result = node.name, node.output[0]
        flat = numpy_helper.from_array(np.array([0, channels, -1]), f"{result}.flat_shape")  # 0: as in the input
        full = numpy_helper.from_array(np.array([0, *volume, channels]), f"{result}.shape")
        graph.initializer.extend((flat, full))
        nodes += (
            helper.make_node("Reshape", [node.input[0], flat.name], [f"{result}.flat"], f"{name}.flat"),
            helper.make_node("Transpose", [f"{result}.flat"], [f"{result}.moved"], f"{name}.moved", perm=[0, 2, 1]),
            helper.make_node("Reshape", [f"{result}.moved", full.name], [result], name),
        )
    nodes = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(nodes)
