"""The memory that ONNX Runtime takes on a CPU to run one window of a network, from the network's ONNX.

ONNX Runtime decides when it opens a network which tensors share a buffer: one that is computed in place has that of its
input, another may have that of a tensor of the same shape that nothing reads any more, and keeps it in use all the time
between. Its allocator then places the buffers: `Arena`. Rules of ONNX Runtime 1.32: `allocation_planner.cc`, and the
kernels of the operators.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .arena import Allocation, Arena
from .onnxruntime_fusions import INT8_PREFIX, fused
from .operators import IN_PLACE, VIEWS, Shapes

if TYPE_CHECKING:
    import onnx

_FLOAT, _POINTER = 4, 8  # bytes
_WEIGHTS_READ = {"DequantizeLinear"}  # of constants, and yet computed anew for every window


@dataclass
class _Buffer:
    """Memory that one tensor after another is held in.

    Attributes:
        shape: shape of the tensors.
        item: bytes of a value.
        readers: how often the tensor that it holds will still be read.
        last: step after which nothing reads it any more.
        is_output: whether it holds the network's output, which gets memory of its own.
    """

    shape: tuple[int, ...]
    item: int
    readers: int
    last: int
    is_output: bool

    @property
    def bytes(self) -> int:
        return self.item * math.prod(self.shape)


def onnxruntime_window_bytes(graph: onnx.GraphProto, shapes: Shapes) -> int:
    """Returns the bytes that a first window takes beside the opened network and the logits; later ones add none.

    Args:
        graph: the network, in float32 or with quantizers.
        shapes: the shape of every weight and tensor, with a batch of one.
    """
    graph, shapes = fused(graph, shapes)
    steps = list(_steps(graph))
    outputs = {value.name for value in graph.output}
    held = _buffers(steps, outputs, shapes)
    arena = Arena()
    taken: dict[int, Allocation] = {}
    for place, node in enumerate(steps):
        for name in node.output:
            buffer = held.get(name)
            if buffer is not None and id(buffer) not in taken:
                taken[id(buffer)] = arena.allocate(buffer.bytes)
        scratch = _scratch_bytes(node, shapes)
        if scratch:
            arena.release(arena.allocate(scratch))
        for buffer in {id(each): each for each in map(held.get, (*node.input, *node.output)) if each}.values():
            if buffer.last <= place and not buffer.is_output:
                arena.release(taken.pop(id(buffer)))
    return arena.touched - sum(held[name].bytes for name in outputs if name in held)


def _steps(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yields the nodes that run, in ONNX Runtime's order: depth first from the output, a node's last input first."""
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" or (
            node.op_type not in _WEIGHTS_READ and all(name in constants for name in node.input if name)
        ):
            constants.update(node.output)
    makers = {name: node for node in graph.node for name in node.output if name not in constants}
    reached: set[str] = set()
    waiting = [(value.name, False) for value in graph.output]
    while waiting:
        name, has_inputs = waiting.pop()
        if has_inputs:
            yield makers[name]
        elif name in makers and name not in reached:
            reached.update(makers[name].output)
            waiting.append((name, True))
            waiting.extend((each, False) for each in makers[name].input)


def _buffers(steps: Sequence[onnx.NodeProto], outputs: Collection[str], shapes: Shapes) -> dict[str, _Buffer]:
    """Returns the buffer of each tensor."""
    readers: dict[str, int] = {}
    for node in steps:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    buffers: dict[str, _Buffer] = {}
    free: list[_Buffer] = []  # the latest first
    for place, node in enumerate(steps):
        for name in filter(None, node.output):
            item = 1 if node.op_type == "QuantizeLinear" or node.op_type.startswith(INT8_PREFIX) else _FLOAT
            shape, is_output = shapes[name], name in outputs
            buffer = _input_buffer(node, buffers, shape, item)
            if buffer is None and not is_output:
                buffer = next((each for each in free if (each.shape, each.item) == (shape, item)), None)
                if buffer is not None:
                    free.remove(buffer)
            if buffer is None:
                buffer = _Buffer(shape, item, 0, place, is_output)
            buffer.readers += readers.get(name, 0)
            buffer.is_output |= is_output
            buffers[name] = buffer
        for name in node.input:
            buffer = buffers.get(name)
            if buffer is None:
                continue
            buffer.readers -= 1
            buffer.last = place
            if buffer.readers == 0 and not buffer.is_output:
                free.insert(0, buffer)
    return buffers


def _input_buffer(
    node: onnx.NodeProto, buffers: Mapping[str, _Buffer], shape: tuple[int, ...], item: int
) -> _Buffer | None:
    """Returns the buffer of the input that a node's output is written over or shows; None where it needs its own."""
    if node.op_type in VIEWS:
        return buffers.get(node.input[0])
    if node.op_type not in IN_PLACE:
        return None
    buffer = buffers.get(node.input[0])
    fits = buffer is not None and buffer.readers == 1 and (buffer.shape, buffer.item) == (shape, item)
    return buffer if fits else None


def _scratch_bytes(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Returns the bytes that a node takes while it runs.

    A convolution in float32 that is computed as a matrix product takes its columns. One in int8 takes a pointer to the
    channels for every value of its kernel and every output position.
    """
    if node.op_type == "ConvTranspose":  # weight [C_in, C_out, k, k, k]: a column of C_out · k³ for each input position
        return _FLOAT * math.prod(shapes[node.input[1]][1:]) * math.prod(shapes[node.input[0]][2:])
    if node.op_type == INT8_PREFIX + "Conv":
        kernel = math.prod(shapes[node.input[1]][2:])
        return _POINTER * kernel * math.prod(shapes[node.output[0]]) // shapes[node.input[1]][0] if kernel > 1 else 0
    if node.op_type == "Conv":
        columns, *column = shapes[node.input[1]]
        rows = math.prod(shapes[node.output[0]][2:])
        if columns > rows and math.prod(column[1:]) > 1:
            return _FLOAT * math.prod(column) * rows
    return 0
