"""What ONNX Runtime makes of the layers of a uint8 model on a CPU: nodes that compute on bytes, channels last.

A layer between a DequantizeLinear and a QuantizeLinear becomes one node, and so does its activation. Convolutions of
bytes read and write the channels last, so a transposition stands before and behind every chain of them. Rules of
ONNX Runtime 1.32: its transformers of Q/DQ pairs and to channels last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .operators import Shapes

if TYPE_CHECKING:
    import onnx

ON_BYTES = "QLinear"
"""Prefix of the operators that compute on bytes."""

_LAYERS = ("Conv", "MatMul", "Gemm")
_LAST = ".channels_last"


def fused(graph: onnx.GraphProto, shapes: Shapes) -> tuple[onnx.GraphProto, Shapes]:
    """Returns the graph that runs, with the shapes of its tensors; the same one if no layer computes on bytes.

    Args:
        graph: the network; not modified.
        shapes: the shape of every weight and tensor, with a batch of one.
    """
    import onnx
    from onnx.helper import make_node

    links = Links(graph)
    on_bytes = [node for node in graph.node if links.is_on_bytes(node)]
    if not on_bytes:
        return graph, shapes
    results = {node.output[0]: links.quantized_result(node) for node in on_bytes}
    written_on_bytes = set(results.values())
    turned: dict[str, tuple[int, ...]] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.output[0] not in results:
            if node.output[0] not in written_on_bytes:  # that pair's QuantizeLinear is in the node before
                nodes.append(node)
            continue
        inputs = [links.before_pair(name) for name in node.input]
        result = results[node.output[0]]
        written = result
        if node.op_type == "Conv":
            if not links.comes_from_convolution(node):
                nodes.append(make_node(ON_BYTES + "Transpose", inputs[:1], [inputs[0] + _LAST]))
                turned[inputs[0] + _LAST] = _channels_last(shapes[inputs[0]])
                inputs[0] += _LAST
            if not links.goes_to_convolution(node):
                written = result + _LAST
                turned[written] = _channels_last(shapes[result])
        nodes.append(make_node(ON_BYTES + node.op_type, inputs, [written]))
        if written != result:
            nodes.append(make_node(ON_BYTES + "Transpose", [written], [result]))
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

    def is_on_bytes(self, node: onnx.NodeProto) -> bool:
        """Returns whether all factors of a layer, or the input of an activation, and its result are quantized."""
        factors = node.input[:2] if node.op_type in _LAYERS else node.input[:1]
        behind = [reader.op_type for reader in self.readers.get(node.output[0], ())]
        return (
            node.op_type in (*_LAYERS, "LeakyRelu")
            and behind == ["QuantizeLinear"]
            and all(self.is_dequantized(name) for name in factors)
        )

    def converts(self, node: onnx.NodeProto) -> bool:
        """Returns whether a quantizer stands between a layer of floats and one of bytes."""
        if node.op_type == "QuantizeLinear":
            return self._writer(node.output[0]) is None and bool(self._readers_on_bytes(node.output[0]))
        if node.op_type == "DequantizeLinear":
            readers = self.readers.get(node.output[0], ())
            return self._writer(node.input[0]) is not None and not all(map(self.is_on_bytes, readers))
        return False

    def quantized_result(self, node: onnx.NodeProto) -> str:
        """Returns the bytes that a node on bytes writes."""
        return self.readers[node.output[0]][0].output[0]

    def before_pair(self, name: str) -> str:
        """Returns the bytes of a dequantized tensor; of another, itself."""
        return self.makers[name].input[0] if self.is_dequantized(name) else name

    def comes_from_convolution(self, node: onnx.NodeProto) -> bool:
        """Returns whether the input of a convolution on bytes is that of another, its activation between."""
        writer = self._writer(self.before_pair(node.input[0]))
        if writer is not None and writer.op_type == "LeakyRelu":
            writer = self._writer(self.before_pair(writer.input[0]))
        return writer is not None and writer.op_type == "Conv"

    def goes_to_convolution(self, node: onnx.NodeProto) -> bool:
        """Returns whether a convolution on bytes reads the output of another, its activation between."""
        readers = self._readers_on_bytes(self.quantized_result(node))
        activations = [self.quantized_result(reader) for reader in readers if reader.op_type == "LeakyRelu"]
        following = [reader for quantized in activations for reader in self._readers_on_bytes(quantized)]
        return any(reader.op_type == "Conv" for reader in (*readers, *following))

    def _writer(self, quantized: str) -> onnx.NodeProto | None:
        """Returns the node on bytes that writes a tensor; None where it is quantized floats, or weights."""
        quantizer = self.makers.get(quantized)
        if quantizer is None or quantizer.op_type != "QuantizeLinear":
            return None
        maker = self.makers.get(quantizer.input[0])
        return maker if maker is not None and self.is_on_bytes(maker) else None

    def _readers_on_bytes(self, quantized: str) -> Sequence[onnx.NodeProto]:
        pairs = self.readers.get(quantized, ())
        readers = [reader for pair in pairs for reader in self.readers.get(pair.output[0], ())]
        return [reader for reader in readers if self.is_on_bytes(reader)]


def _channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1])
