"""The small networks in which the probe times its kernels: each is repeated in one, once or several times."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.engines.engine import Precision
from .kernels import CONVOLUTION_EDGE, HEADS, Kernel
from .onnx_graph import INPUT, OnnxGraph

_HEAD = 2  # channels of a kernel's network where its output is not what is timed
_SCALE = np.float32(0.05)  # of quantized activations and weights


def kernel_network(kernel: Kernel, repeats: int, precision: Precision = "int8") -> bytes:
    """Returns the ONNX of a network that repeats a kernel.

    Args:
        kernel: the kernel.
        repeats: how often.
        precision: form of a quantized kernel, as export writes it: ``"int8"``, where its input is quantized, or
            ``"uint8"``, where its output is too.
    """
    graph = _Graph(precision == "uint8")
    last, channels = _NETWORKS[kernel.kind](graph, kernel, repeats)
    return graph.model(last, channels, kernel.edge)


class _Graph(OnnxGraph):
    """A graph of kernels that are quantized in one of the two forms.

    Args:
        unsigned: whether in that of uint8.
    """

    def __init__(self, unsigned: bool) -> None:
        super().__init__()
        self._unsigned = unsigned

    def quantized(self, x: str) -> str:
        """Adds a Q/DQ pair; returns its output."""
        zero = self.constant(np.array(128, np.uint8) if self._unsigned else np.array(0, np.int8))
        scale = self.constant(np.array(_SCALE))
        return self.add("DequantizeLinear", [self.add("QuantizeLinear", [x, scale, zero]), scale, zero])

    def quantized_result(self, x: str) -> str:
        """Adds a Q/DQ pair behind a quantized kernel, if its form has one; returns the output."""
        return self.quantized(x) if self._unsigned else x

    def int8_weights(self, shape: tuple[int, ...], axis: int) -> str:
        """Adds int8 weights with a scale for each output channel, symmetric and in 7 bits, as export writes them."""
        values = np.random.default_rng(len(shape)).integers(-63, 64, shape, np.int8)
        return self._dequantized(values, self._weight_scales(shape, axis), axis)

    def bias(self, shape: tuple[int, ...], axis: int, *, quantized: bool) -> str:
        """Adds the bias of a layer with weights of a shape: in uint8's form of a quantized kernel, of int32."""
        count = shape[axis]
        if not (quantized and self._unsigned):
            return self.weights(count, scale=0.1)
        values = np.random.default_rng(count).integers(-100, 100, count, np.int32)
        return self._dequantized(values, _SCALE * self._weight_scales(shape, axis), 0)

    def _weight_scales(self, shape: tuple[int, ...], axis: int) -> NDArray[np.float32]:
        count = shape[axis]
        return np.full(count, _SCALE / math.sqrt(math.prod(shape) / count) * 0.5, np.float32)

    def _dequantized(self, values: NDArray[Any], scales: NDArray[np.float32], axis: int) -> str:
        zeros = np.zeros(len(scales), values.dtype)
        return self.add("DequantizeLinear", [self.constant(each) for each in (values, scales, zeros)], axis=axis)


def _chained(body: Callable[[_Graph, str, Kernel], str]) -> Callable[[_Graph, Kernel, int], tuple[str, int]]:
    """Returns a network: image → channels, the layer after itself several times, → head."""

    def network(graph: _Graph, kernel: Kernel, repeats: int) -> tuple[str, int]:
        x = _pointwise_conv(graph, INPUT, 1, kernel.inner)
        for _ in range(repeats):
            x = body(graph, x, kernel)
        return _pointwise_conv(graph, x, kernel.columns, _HEAD), _HEAD

    return network


def _in_tokens(body: Callable[[_Graph, str, Kernel], str]) -> Callable[[_Graph, Kernel, int], tuple[str, int]]:
    """Returns a network: image → [N, tokens, channels], the layer after itself several times, → head."""

    def network(graph: _Graph, kernel: Kernel, repeats: int) -> tuple[str, int]:
        x = _pointwise_conv(graph, INPUT, 1, kernel.inner)
        x = graph.add("Reshape", [x, graph.constant(np.array([0, 0, -1]))])
        x = graph.add("Transpose", [x], perm=(0, 2, 1))
        for _ in range(repeats):
            x = body(graph, x, kernel)
        x = graph.add("Transpose", [x], perm=(0, 2, 1))
        x = graph.add("Reshape", [x, graph.constant(np.array([0, kernel.columns, *[kernel.edge] * 3]))])
        return _pointwise_conv(graph, x, kernel.columns, _HEAD), _HEAD

    return network


def _side_by_side(graph: _Graph, kernel: Kernel, repeats: int) -> tuple[str, int]:
    """Returns a network: the layer several times on one input, their sum, → head."""
    strided, transposed = kernel.kind == "strided conv", kernel.kind == "transposed conv"
    x = INPUT
    if transposed:
        x = _conv(graph, x, 1, kernel.inner, size=2, stride=2)
    elif kernel.inner > 1:
        x = _pointwise_conv(graph, x, 1, kernel.inner)
    total = ""
    for _ in range(repeats):
        if transposed:
            y = _transposed(graph, x, kernel.inner, kernel.columns)
        else:
            stride = 2 if strided else 1
            y = _conv(graph, x, kernel.inner, kernel.columns, CONVOLUTION_EDGE, stride, quantized=kernel.quantized)
        total = graph.add("Add", [total, y]) if total else y
    if strided:
        return _transposed(graph, total, kernel.columns, _HEAD), _HEAD
    return _pointwise_conv(graph, total, kernel.columns, _HEAD), _HEAD


def _convolutions(graph: _Graph, kernel: Kernel, repeats: int) -> tuple[str, int]:
    network = _chained(_conv_relu) if kernel.inner == kernel.columns else _side_by_side
    return network(graph, kernel, repeats)


def _conv_relu(graph: _Graph, x: str, kernel: Kernel) -> str:
    y = _conv(graph, x, kernel.inner, kernel.columns, CONVOLUTION_EDGE, 1, quantized=kernel.quantized)
    return graph.add("LeakyRelu", [y], alpha=0.1)


def _pointwise_convolutions(graph: _Graph, kernel: Kernel, repeats: int) -> tuple[str, int]:
    if kernel.inner == kernel.columns:
        return _chained(lambda graph, x, each: _pointwise_conv(graph, x, each.inner, each.columns))(
            graph, kernel, repeats
        )
    x, total = _pointwise_conv(graph, INPUT, 1, kernel.inner), ""
    for _ in range(repeats):
        y = _pointwise_conv(graph, x, kernel.inner, kernel.columns)
        total = graph.add("Add", [total, y]) if total else y
    return _pointwise_conv(graph, total, kernel.columns, _HEAD), _HEAD


def _conv(graph: _Graph, x: str, inner: int, columns: int, size: int, stride: int, quantized: bool = False) -> str:
    shape = (columns, inner, size, size, size)
    if quantized:
        x, weights = graph.quantized(x), graph.int8_weights(shape, axis=0)
    else:
        weights = graph.weights(*shape, scale=1 / math.sqrt(inner * size**3))
    pad = (size - 1) // 2
    inputs = [x, weights, graph.bias(shape, 0, quantized=quantized)]
    y = graph.add("Conv", inputs, kernel_shape=(size,) * 3, strides=(stride,) * 3, pads=(pad,) * 6)
    return graph.quantized_result(y) if quantized else y


def _pointwise_conv(graph: _Graph, x: str, inner: int, columns: int) -> str:
    return _conv(graph, x, inner, columns, 1, 1)


def _transposed(graph: _Graph, x: str, inner: int, columns: int) -> str:
    weights = graph.weights(inner, columns, 2, 2, 2, scale=1 / math.sqrt(inner))
    return graph.add("ConvTranspose", [x, weights], kernel_shape=(2,) * 3, strides=(2,) * 3)


def _matmul(graph: _Graph, x: str, kernel: Kernel) -> str:
    shape = (kernel.inner, kernel.columns)
    if kernel.quantized:
        product = graph.quantized_result(graph.add("MatMul", [graph.quantized(x), graph.int8_weights(shape, axis=1)]))
    else:
        product = graph.add("MatMul", [x, graph.weights(*shape, scale=1 / math.sqrt(kernel.inner))])
    return graph.add("Add", [product, graph.weights(kernel.columns, scale=0.1)])


def _attention(graph: _Graph, kernel: Kernel, repeats: int) -> tuple[str, int]:
    """Returns a network with products of two activations, [heads, tokens, tokens] with [heads, tokens, channels]."""
    tokens, channels = kernel.inner, kernel.columns
    x = _pointwise_conv(graph, INPUT, 1, HEADS * channels)
    x = graph.add("Reshape", [x, graph.constant(np.array([-1, HEADS, channels, tokens]))])
    y = graph.add("Transpose", [x], perm=(0, 1, 3, 2))
    scores = graph.add("MatMul", [y, x])
    for _ in range(repeats):
        y = graph.add("MatMul", [scores, y])
    y = graph.add("Transpose", [y], perm=(0, 1, 3, 2))
    y = graph.add("Reshape", [y, graph.constant(np.array([-1, HEADS * channels, *[kernel.edge] * 3]))])
    return _pointwise_conv(graph, y, HEADS * channels, _HEAD), _HEAD


def _softmax(graph: _Graph, kernel: Kernel, repeats: int) -> tuple[str, int]:
    tokens = kernel.inner
    x = _pointwise_conv(graph, INPUT, 1, HEADS)
    x = graph.add("Reshape", [x, graph.constant(np.array([-1, HEADS, tokens, 1]))])
    scores = graph.add("MatMul", [x, graph.add("Transpose", [x], perm=(0, 1, 3, 2))])
    for _ in range(repeats):
        scores = graph.add("Softmax", [scores], axis=-1)
    y = graph.add("MatMul", [scores, x])
    y = graph.add("Reshape", [y, graph.constant(np.array([-1, HEADS, *[kernel.edge] * 3]))])
    return _pointwise_conv(graph, y, HEADS, _HEAD), _HEAD


def _instance_norm(graph: _Graph, x: str, kernel: Kernel) -> str:
    return graph.add("InstanceNormalization", [x, graph.weights(kernel.inner), graph.weights(kernel.inner)])


def _layer_norm(graph: _Graph, x: str, kernel: Kernel) -> str:
    return graph.add("LayerNormalization", [x, graph.weights(kernel.inner), graph.weights(kernel.inner)], axis=-1)


def _erf(graph: _Graph, x: str, kernel: Kernel) -> str:
    return graph.add("Mul", [x, graph.add("Erf", [x])])


def _roll(graph: _Graph, x: str, kernel: Kernel) -> str:
    """Adds a cyclic shift by one voxel along the last axis but one: two slices and their concatenation."""
    axes, one, last = (graph.constant(np.array([value])) for value in (3, 1, kernel.edge))
    zero = graph.constant(np.array([0]))
    back, front = graph.add("Slice", [x, one, last, axes]), graph.add("Slice", [x, zero, one, axes])
    return graph.add("Concat", [back, front], axis=3)


def _resize(graph: _Graph, x: str, kernel: Kernel) -> str:
    """Adds max pooling to half the size, and trilinear interpolation back."""
    pooled = graph.add("MaxPool", [x], kernel_shape=(2,) * 3, strides=(2,) * 3)
    return _doubled(graph, pooled)


def _output(graph: _Graph, kernel: Kernel, repeats: int) -> tuple[str, int]:
    """Returns a network whose last layer is what is timed, after one small layer or, with more repeats, several.

    Engines treat a last layer otherwise than others: its result leaves their memory layout and their lower precision,
    into fresh memory. It cannot be repeated; so the small layer before it is, and its time taken off.
    """
    x = _conv(graph, INPUT, 1, kernel.inner, *((1, 1) if kernel.kind == "output" else (2, 2)))
    for _ in range(repeats - 1):
        x = _pointwise_conv(graph, x, kernel.inner, kernel.inner)
    if kernel.kind == "resized output":
        x = _doubled(graph, x)
    else:
        x = (_pointwise_conv if kernel.kind == "output" else _transposed)(graph, x, kernel.inner, kernel.columns)
    return x, kernel.columns


def _doubled(graph: _Graph, x: str) -> str:
    """Adds trilinear interpolation to twice the size, at the places and by the weights of PyTorch's."""
    scales = graph.constant(np.array([1, 1, 2, 2, 2], np.float32))
    return graph.add("Resize", [x, "", scales], mode="linear")


def _call(graph: _Graph, kernel: Kernel, repeats: int) -> tuple[str, int]:
    x = _pointwise_conv(graph, INPUT, 1, kernel.columns)
    for _ in range(repeats):
        x = _pointwise_conv(graph, x, kernel.columns, kernel.columns)
    return x, kernel.columns


_NETWORKS: dict[str, Callable[[_Graph, Kernel, int], tuple[str, int]]] = {
    "conv": _convolutions,
    "strided conv": _side_by_side,
    "pointwise conv": _pointwise_convolutions,
    "transposed conv": _side_by_side,
    "matmul": _in_tokens(_matmul),
    "attention": _attention,
    "instance norm": _chained(_instance_norm),
    "layer norm": _in_tokens(_layer_norm),
    "softmax": _softmax,
    "pointwise": _chained(_erf),
    "copy": _chained(_roll),
    "resize": _chained(_resize),
    "output": _output,
    "transposed output": _output,
    "resized output": _output,
    "call": _call,
}
