"""Refuses ONNX models with external data, before any parser opens the files they name.

A tensor marked as external names a file to read (CVE-2025-51480 and similar: ``location = "../../etc/passwd"``).
Bundles store their weights inside the ONNX file, so any such mark is refused. The device install has no `onnx` package,
so this module walks protobuf's length-delimited fields itself and decodes nothing else. Field numbers: onnx.proto3.
"""

from __future__ import annotations

from ..errors import BundleError

_VARINT, _BYTES = 0, 2  # wire types
_FIXED_BYTES = {1: 8, 5: 4}
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14

# message → field number → message inside it
_NESTED = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}


def check_no_external_data(model: bytes) -> None:
    """Checks that every tensor of an ONNX model is stored in the model itself.

    Raises:
        BundleError: a tensor is stored elsewhere, or the bytes are not a protobuf message.
    """
    try:
        _walk(memoryview(model))
    except (IndexError, ValueError):
        raise BundleError("the model is not an ONNX file: its protobuf structure is broken; export it again") from None


def _walk(model: memoryview) -> None:
    pending = [("model", 0, len(model))]
    while pending:
        message, position, end = pending.pop()
        while position < end:
            key, position = _varint(model, position, end)
            field, wire = key >> 3, key & 7
            if message == "tensor":
                _refuse_elsewhere(model, field, position, end)
            start, position = _content(model, wire, position, end)
            inside = _NESTED[message].get(field) if wire == _BYTES else None
            if inside is not None:
                pending.append((inside, start, position))
        if position != end:
            raise ValueError("a field runs over the end of its message")


def _refuse_elsewhere(model: memoryview, field: int, position: int, end: int) -> None:
    """Refuses the two fields of a tensor that say its values are stored in another file."""
    if field not in (_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION):
        return
    value, _ = _varint(model, position, end)
    if field == _TENSOR_EXTERNAL_DATA or value != 0:
        raise BundleError("the model keeps weights in another file; expected one ONNX with everything inside")


def _content(model: memoryview, wire: int, position: int, end: int) -> tuple[int, int]:
    """Returns the start and stop position of a field's content."""
    if wire == _VARINT:
        return position, _varint(model, position, end)[1]
    if wire in _FIXED_BYTES:
        return position, position + _FIXED_BYTES[wire]
    if wire != _BYTES:
        raise ValueError("unknown wire type")
    size, position = _varint(model, position, end)
    return position, position + size


def _varint(data: memoryview, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number runs over the end of its message")
