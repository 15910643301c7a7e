"""Counts what each node of a network's ONNX costs: operations, values read and written, and parameters.

Shapes come from `onnx`'s own shape inference, with a batch of one. onnx-tool 1.0.1 counts such figures too, but fails
on a transposed convolution without bias, counts a bias as multiplications, and 36 operations per value of a softmax.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...runtime.errors import BundleError, MissingExtraError, first_line
from .onnxruntime_fusions import Links
from .onnxruntime_window import onnxruntime_window_bytes
from .operators import ACTIVATIONS, FREE, HEAVY, MOVES, Shapes

if TYPE_CHECKING:
    import onnx

_PER_VALUE = {  # operations per value of the output; an exponential counts as one
    "InstanceNormalization": 8,  # mean 1, variance 3, normalise 2, scale and shift 2
    "LayerNormalization": 8,
    "GroupNormalization": 8,
    "Softmax": 5,  # maximum, subtract, exponential, sum, divide
    "Resize": 16,  # trilinear: eight products and their sum
}


@dataclass(frozen=True)
class Product:
    """A convolution or matrix product as the product of two matrices.

    Attributes:
        inner: channels that each value of the output sums over, those of one group; of a matrix product its inner size.
        columns: channels of the output.
        rows: positions of the output; of a matrix product, its rows.
        taps: positions of the kernel; 1 for a matrix product.
        strided: whether the output has fewer positions than the input.
        weighted: whether one factor is constant.
    """

    inner: int
    columns: int
    rows: int
    taps: int = 1
    strided: bool = False
    weighted: bool = True


@dataclass(frozen=True)
class NodeCost:
    """The cost of one node for one window.

    Attributes:
        name: the node's name.
        op: its operator (``"Conv"``).
        operations: arithmetic operations; a multiplication and an addition are two.
        read: values read from activations.
        written: values written to activations.
        parameters: values read from weights.
        quantized: whether it computes in int8 where the model is int8.
        fused: whether an engine computes it in the pass that makes its input, so that it moves no bytes of its own.
        product: the matrix product that it computes; None where it computes none.
        columns: channels of its output, or 1 where it has none.
    """

    name: str
    op: str
    operations: int
    read: int
    written: int
    parameters: int = 0
    quantized: bool = False
    fused: bool = False
    product: Product | None = None
    columns: int = 1


@dataclass(frozen=True)
class ModelCost:
    """The cost of one window of a network.

    Attributes:
        nodes: the nodes in the order in which they run.
        peak_values: the most values of activations alive at once, input and output included, each freed after its last
            reader. An engine that computes in place needs less, one that plans its memory less well more.
        onnxruntime_bytes: bytes that a window takes in ONNX Runtime on a CPU beside its logits.
    """

    nodes: tuple[NodeCost, ...]
    peak_values: int
    onnxruntime_bytes: int

    @property
    def flops(self) -> int:
        """Operations of convolutions and matrix products alone, biases not counted, as in most papers."""
        return sum(node.operations for node in self.nodes if node.op in HEAVY)

    @property
    def parameters(self) -> int:
        """Values of all weights, each as often as a node reads it."""
        return sum(node.parameters for node in self.nodes)

    def quantized(self) -> ModelCost:
        """Returns the cost with every convolution and matrix product in int8, as a student's int8 model is at best."""
        nodes = (replace(node, quantized=node.op in HEAVY) for node in self.nodes)
        return replace(self, nodes=tuple(nodes))

    def in_floats(self) -> ModelCost:
        """Returns the cost with no layer in int8, as ONNX Runtime computes a student's int8 model on a CPU."""
        return replace(self, nodes=tuple(replace(node, quantized=False) for node in self.nodes))


def model_cost(content: bytes) -> ModelCost:
    """Counts the cost of one window of an ONNX model.

    Args:
        content: the bytes of the ONNX file, its weights inside; those of a bundle are verified before.

    Raises:
        MissingExtraError: `onnx` is not installed.
        BundleError: it is no ONNX model, or the shape of a tensor cannot be inferred.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingExtraError(error.name or "onnx", "plan") from None
    try:
        model = onnx.load_from_string(content)
        first = model.graph.input[0].type.tensor_type.shape.dim[0]
        first.Clear()
        first.dim_value = 1
        # Shapes that an older run of the exporter noted name the batch; they are inferred anew.
        del model.graph.value_info[:]
        model.graph.output[0].type.tensor_type.shape.dim[0].Clear()
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except (DecodeError, IndexError, ValueError, onnx.shape_inference.InferenceError) as error:
        raise BundleError(f"the operations of the ONNX cannot be counted: {first_line(error)}") from None
    return _counted(inferred.graph)


def _counted(graph: onnx.GraphProto) -> ModelCost:
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    shapes = weights | _value_shapes(graph)
    links = Links(graph)
    constants = set(weights)
    nodes: list[NodeCost] = []
    for node in graph.node:
        inputs = [name for name in node.input if name]
        if node.op_type == "Constant" or (inputs and all(name in constants for name in inputs)):
            constants.update(node.output)  # an engine computes it once, when it opens the model
            continue
        if not inputs:
            raise BundleError(f"the operations of the ONNX cannot be counted: {node.op_type} has no input")
        missing = [name for name in (*inputs, *node.output) if name and name not in shapes]
        if missing:
            raise BundleError(f'the operations of the ONNX cannot be counted: "{missing[0]}" has no fixed shape')
        try:
            nodes.append(_node_cost(node, shapes, constants, links))
        except (IndexError, ZeroDivisionError):
            made, shape = node.output[0], "×".join(map(str, shapes[node.output[0]])) or "none"
            raise BundleError(
                f'the operations of the ONNX cannot be counted: "{made}" of a {node.op_type} has the shape {shape}'
            ) from None
    return ModelCost(tuple(nodes), _peak_values(graph, shapes, constants), onnxruntime_window_bytes(graph, shapes))


def _value_shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if all(dimension.HasField("dim_value") for dimension in dimensions):
            shapes[value.name] = tuple(dimension.dim_value for dimension in dimensions)
    return shapes


def _node_cost(node: onnx.NodeProto, shapes: Shapes, constants: set[str], links: Links) -> NodeCost:
    inputs = [name for name in node.input if name]
    activations = [name for name in inputs if name not in constants]
    read = sum(math.prod(shapes[name]) for name in activations)
    if node.op_type == "Slice":
        read = math.prod(shapes[node.output[0]])
    written = sum(math.prod(shapes[name]) for name in node.output if name)
    source = node.input[0]
    alone = len(links.readers.get(source, ())) == 1 and source in links.makers
    fusable = node.op_type in FREE or (node.op_type in ACTIVATIONS and alone)
    return NodeCost(
        name=node.name,
        op=node.op_type,
        operations=_operations(node, shapes, written),
        read=read,
        written=written,
        parameters=sum(math.prod(shapes[name]) for name in inputs if name in constants),
        quantized=node.op_type in HEAVY and all(map(links.is_dequantized, node.input[:2])),
        fused=fusable and not links.converts(node),
        product=_product(node, shapes, constants, written) if node.op_type in HEAVY else None,
        columns=_channels(shapes[node.output[0]]),
    )


def _channels(shape: tuple[int, ...]) -> int:
    """Returns the channels of a tensor ``[N, C, …]``, at least 1; 1 of a tensor without channels."""
    return max(1, shape[1]) if len(shape) > 1 else 1


def _product(node: onnx.NodeProto, shapes: Shapes, constants: set[str], written: int) -> Product:
    data, weights = shapes[node.input[0]], shapes[node.input[1]]
    weighted = node.input[1] in constants
    if node.op_type in ("MatMul", "Gemm"):
        columns = shapes[node.output[0]][-1]
        return Product(data[-1], columns, written // columns, weighted=weighted)
    columns = shapes[node.output[0]][1]
    rows = written // columns
    if node.op_type == "ConvTranspose":
        return Product(weights[0], columns, rows, math.prod(weights[2:]))
    return Product(weights[1], columns, rows, math.prod(weights[2:]), strided=rows < math.prod(data[2:]))


def _operations(node: onnx.NodeProto, shapes: Shapes, written: int) -> int:
    """Returns the operations of a node; of a product without its bias."""
    op = node.op_type
    if op == "Conv":  # weight [C_out, C_in / groups, k, k, k]: a product of C_in / groups · k³ values per output
        return 2 * written * math.prod(shapes[node.input[1]][1:])
    if op == "ConvTranspose":  # weight [C_in, C_out / groups, k, k, k]: every input value goes to C_out / groups · k³
        return 2 * math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
    if op == "MatMul":
        return 2 * written * shapes[node.input[0]][-1]
    if op == "Gemm":
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        return 2 * written * shapes[node.input[0]][0 if transposed else 1]
    if op in FREE or op in MOVES:
        return 0
    return _PER_VALUE.get(op, 1) * written


def _peak_values(graph: onnx.GraphProto, shapes: Shapes, constants: set[str]) -> int:
    root: dict[str, str] = {}  # of a view, the tensor whose memory it shows; the engines fuse quantizers like views
    for node in graph.node:
        if node.op_type in FREE and node.input:
            root.update((name, root.get(node.input[0], node.input[0])) for name in node.output)
    last = {root.get(name, name): place for place, node in enumerate(graph.node) for name in node.input}
    last |= {root.get(value.name, value.name): len(graph.node) for value in graph.output}
    alive = {value.name for value in graph.input if value.name not in constants}
    held = peak = sum(math.prod(shapes[name]) for name in alive)
    for place, node in enumerate(graph.node):
        made = {name for name in node.output if name and name not in constants and name not in root}
        held += sum(math.prod(shapes[name]) for name in made)
        alive |= made
        peak = max(peak, held)
        done = {name for name in alive if last.get(name, place) <= place}
        held -= sum(math.prod(shapes[name]) for name in done)
        alive -= done
    return peak
