"""The 3D U-Net of MLPerf Inference (KiTS19) as an ONNX graph, written from its published description.

Source: github.com/mlcommons/inference, vision/medical_imaging/3d-unet-kits19, and the network of MLPerf Training that
it runs: 23 convolutions, 5 transposed ones, 22 instance norms, on windows of 128³. The weights are zeros: only their
shapes count.
"""

from __future__ import annotations

import itertools

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

PATCH = 128
CHANNELS = (32, 64, 128, 256, 320, 320)
CLASSES = 3


class _Graph:
    """Collects nodes and weights; every method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []

    def add(self, op: str, inputs: list[str], **attributes: object) -> str:
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def weight(self, *shape: int) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))
        return name

    def block(self, x: str, before: int, after: int, stride: int = 1) -> str:
        """Two convolutions of 3³, each with instance norm and ReLU; the first may halve the size."""
        for channels, step in ((before, stride), (after, 1)):
            kernel = self.weight(after, channels, 3, 3, 3)
            x = self.add("Conv", [x, kernel], pads=[1] * 6, strides=[step] * 3)
            x = self.add("InstanceNormalization", [x, self.weight(after), self.weight(after)])
            x = self.add("Relu", [x])
        return x


def mlperf_unet() -> bytes:
    """Returns the bytes of the ONNX; input [batch, 1, 128, 128, 128], output [batch, 3, 128, 128, 128]."""
    graph = _Graph()
    x = graph.block("image", 1, CHANNELS[0])
    skips = [x]
    for before, after in itertools.pairwise(CHANNELS):
        x = graph.block(x, before, after, stride=2)
        skips.append(x)
    skips.pop()
    for after, before in reversed(list(itertools.pairwise(CHANNELS))):
        x = graph.add("ConvTranspose", [x, graph.weight(before, after, 2, 2, 2), graph.weight(after)], strides=[2] * 3)
        x = graph.block(graph.add("Concat", [x, skips.pop()], axis=1), 2 * after, after)
    graph.nodes.append(helper.make_node("Conv", [x, graph.weight(CLASSES, CHANNELS[0], 1, 1, 1)], ["logits"]))
    size = [PATCH] * 3
    made = helper.make_graph(
        graph.nodes,
        "mlperf-3d-unet",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, *size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES, *size])],
        graph.weights,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
