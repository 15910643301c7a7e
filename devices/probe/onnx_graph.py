"""Writes small ONNX models without the `onnx` package, which the device install does not have.

Only what the probe's kernels need: nodes with numbers and lists of integers as attributes, tensors with their values,
one input and one output. Field numbers and types are those of onnx.proto3 (ONNX 1.17, Apache-2.0).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_IR_VERSION, _OPSET = 9, 18
_VARINT, _BYTES, _FIXED32 = 0, 2, 5  # wire types
_TENSOR_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "float16": 10}
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7  # types of attributes
_MASK = 2**64 - 1  # negative integers are written as 64 bits in two's complement

INPUT, OUTPUT, BATCH = "image", "logits", "batch"


class OnnxGraph:
    """Collects the nodes and weights of a model [batch, 1, D, H, W] → [batch, C, D, H, W].

    Args:
        seed: seed of the weights.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._nodes: list[bytes] = []
        self._tensors: list[bytes] = []

    def add(self, op: str, inputs: Sequence[str], **attributes: float | str | Sequence[int]) -> str:
        """Adds a node with one output; returns the output's name.

        Args:
            op: ONNX operator.
            inputs: names of its inputs.
            attributes: its attributes: a float, an int, a text or a sequence of ints each.
        """
        output = f"{op.lower()}_{len(self._nodes)}"
        self._append(op, inputs, output, attributes)
        return output

    def weights(self, *shape: int, scale: float = 1.0) -> str:
        """Adds normally distributed float32 weights; returns their name."""
        return self.constant(scale * self._rng.standard_normal(shape, np.float32))

    def constant(self, values: NDArray[Any]) -> str:
        """Adds a tensor of one of `_TENSOR_TYPES`; returns its name."""
        name = f"constant_{len(self._tensors)}"
        self._tensors.append(
            _join(
                *(_number(1, size) for size in values.shape),
                _number(2, _TENSOR_TYPES[values.dtype.name]),
                _text(8, name),
                _message(9, np.ascontiguousarray(values).tobytes()),
            )
        )
        return name

    def model(self, last: str, channels: int, edge: int) -> bytes:
        """Returns the bytes of the model.

        Args:
            last: name of the tensor that is the output.
            channels: its channels.
            edge: voxels of the window along each axis.
        """
        nodes = [*self._nodes, _node("Identity", [last], OUTPUT, {})]
        graph = _join(
            *(_message(1, node) for node in nodes),
            _text(2, "kernel"),
            *(_message(5, tensor) for tensor in self._tensors),
            _message(11, _value(INPUT, [1, edge, edge, edge])),
            _message(12, _value(OUTPUT, [channels, edge, edge, edge])),
        )
        opset = _join(_text(1, ""), _number(2, _OPSET))
        return _join(_number(1, _IR_VERSION), _message(7, graph), _message(8, opset))

    def _append(self, op: str, inputs: Sequence[str], output: str, attributes: dict[str, Any]) -> None:
        self._nodes.append(_node(op, inputs, output, attributes))


def _node(op: str, inputs: Sequence[str], output: str, attributes: dict[str, Any]) -> bytes:
    return _join(
        *(_text(1, name) for name in inputs),
        _text(2, output),
        _text(3, output),
        _text(4, op),
        *(_message(5, _attribute(name, value)) for name, value in attributes.items()),
    )


def _attribute(name: str, value: float | str | Sequence[int]) -> bytes:
    if isinstance(value, str):
        return _join(_text(1, name), _text(4, value), _number(20, _STRING))
    if isinstance(value, int):
        return _join(_text(1, name), _number(3, value), _number(20, _INT))
    if isinstance(value, float):
        return _join(_text(1, name), _key(2, _FIXED32), struct.pack("<f", value), _number(20, _FLOAT))
    return _join(_text(1, name), *(_number(8, each) for each in value), _number(20, _INTS))


def _value(name: str, sizes: Iterable[int]) -> bytes:
    """Returns a ValueInfoProto of float32; the first axis is the batch."""
    dimensions = [_text(2, BATCH), *(_number(1, size) for size in sizes)]
    shape = _join(*(_message(1, dimension) for dimension in dimensions))
    tensor = _join(_number(1, _TENSOR_TYPES["float32"]), _message(2, shape))
    return _join(_text(1, name), _message(2, _message(1, tensor)))


def _join(*parts: bytes) -> bytes:
    return b"".join(parts)


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _key(field, _VARINT) + _varint(value & _MASK)


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())


def _message(field: int, content: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
