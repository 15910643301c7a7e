"""What ONNX Runtime makes of the layers of a uint8 model on a CPU: nodes that compute in int8, channels last.

A layer between a DequantizeLinear and a QuantizeLinear becomes one node, and so does its activation. Convolutions in
int8 read and write the channels last, so a transposition stands before and behind every chain of them. Rules of
ONNX Runtime 1.32: its transformers of Q/DQ pairs and to channels last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .operators import Shapes

if TYPE_CHECKING:
    import onnx

INT8_PREFIX = "QLinear"
"""Prefix of the operators that compute in int8."""

_LAYERS = ("Conv", "MatMul", "Gemm")
_LAST = ".channels_last"


def fused(graph: onnx.GraphProto, shapes: Shapes) -> tuple[onnx.GraphProto, Shapes]:
    """Returns the graph that runs, with the shapes of its tensors; the same one if no layer computes in int8.

    Args:
        graph: the network; not modified.
        shapes: the shape of every weight and tensor, with a batch of one.
    """
    import onnx
    from onnx.helper import make_node

    links = Links(graph)
    in_int8 = [node for node in graph.node if links.is_in_int8(node)]
    if not in_int8:
        return graph, shapes
    results = {node.output[0]: links.quantized_result(node) for node in in_int8}
    written_in_int8 = set(results.values())
    turned: dict[str, tuple[int, ...]] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.output[0] not in results:
            if node.output[0] not in written_in_int8:  # that pair's QuantizeLinear is in the node before
                nodes.append(node)
            continue
        inputs = [links.before_pair(name) for name in node.input]
        result = results[node.output[0]]
        written = result
        if node.op_type == "Conv":
            if not links.comes_from_convolution(node):
                nodes.append(make_node(INT8_PREFIX + "Transpose", inputs[:1], [inputs[0] + _LAST]))
                turned[inputs[0] + _LAST] = _channels_last(shapes[inputs[0]])
                inputs[0] += _LAST
            if not links.goes_to_convolution(node):
                written = result + _LAST
                turned[written] = _channels_last(shapes[result])
        nodes.append(make_node(INT8_PREFIX + node.op_type, inputs, [written]))
        if written != result:
            nodes.append(make_node(INT8_PREFIX + "Transpose", [written], [result]))
    running = onnx.GraphProto()
    running.CopyFrom(graph)
    del running.node[:]
    running.node.extend(nodes)
    return running, {**shapes, **turned}


class Links:
    """Which node makes a tensor of a graph, and which read it.

    Attributes:
        makers: tensor → the node that makes it.
        readers: tensor → the nodes that read it, one for each time that they do.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.makers = {name: node for node in graph.node for name in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def is_dequantized(self, name: str) -> bool:
        """Returns whether a tensor is what a DequantizeLinear makes."""
        return name in self.makers and self.makers[name].op_type == "DequantizeLinear"

    def is_in_int8(self, node: onnx.NodeProto) -> bool:
        """Returns whether all factors of a layer, or the input of an activation, and its result are quantized."""
        factors = node.input[:2] if node.op_type in _LAYERS else node.input[:1]
        behind = [reader.op_type for reader in self.readers.get(node.output[0], ())]
        return (
            node.op_type in (*_LAYERS, "LeakyRelu")
            and behind == ["QuantizeLinear"]
            and all(self.is_dequantized(name) for name in factors)
        )

    def converts(self, node: onnx.NodeProto) -> bool:
        """Returns whether a quantizer stands between a layer in float32 and one in int8."""
        if node.op_type == "QuantizeLinear":
            return self._writer(node.output[0]) is None and bool(self._int8_readers(node.output[0]))
        if node.op_type == "DequantizeLinear":
            readers = self.readers.get(node.output[0], ())
            return self._writer(node.input[0]) is not None and not all(map(self.is_in_int8, readers))
        return False

    def quantized_result(self, node: onnx.NodeProto) -> str:
        """Returns the int8 tensor that a node in int8 writes."""
        return self.readers[node.output[0]][0].output[0]

    def before_pair(self, name: str) -> str:
        """Returns the int8 tensor that was dequantized into a tensor; the tensor itself where it is no such result."""
        return self.makers[name].input[0] if self.is_dequantized(name) else name

    def comes_from_convolution(self, node: onnx.NodeProto) -> bool:
        """Returns whether this int8 convolution reads the output of another, directly or through an activation."""
        writer = self._writer(self.before_pair(node.input[0]))
        if writer is not None and writer.op_type == "LeakyRelu":
            writer = self._writer(self.before_pair(writer.input[0]))
        return writer is not None and writer.op_type == "Conv"

    def goes_to_convolution(self, node: onnx.NodeProto) -> bool:
        """Returns whether another int8 convolution reads the output of this one, directly or through an activation."""
        readers = self._int8_readers(self.quantized_result(node))
        activations = [self.quantized_result(reader) for reader in readers if reader.op_type == "LeakyRelu"]
        following = [reader for quantized in activations for reader in self._int8_readers(quantized)]
        return any(reader.op_type == "Conv" for reader in (*readers, *following))

    def _writer(self, quantized: str) -> onnx.NodeProto | None:
        """Returns the int8 node that writes a tensor; None for a weight, and for what was quantized from float32."""
        quantizer = self.makers.get(quantized)
        if quantizer is None or quantizer.op_type != "QuantizeLinear":
            return None
        maker = self.makers.get(quantizer.input[0])
        return maker if maker is not None and self.is_in_int8(maker) else None

    def _int8_readers(self, quantized: str) -> Sequence[onnx.NodeProto]:
        pairs = self.readers.get(quantized, ())
        readers = [reader for pair in pairs for reader in self.readers.get(pair.output[0], ())]
        return [reader for reader in readers if self.is_in_int8(reader)]


def _channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1])
