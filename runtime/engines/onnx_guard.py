"""A look at an ONNX file's wire format that refuses external data before a parser follows it.

A tensor marked as external names a file to read (CVE-2025-51480 and kin: ``location = "../../etc/passwd"``). Bundles
hold their weights inside the ONNX, so any such mark is refused. The `onnx` package is not part of the device install,
hence this walk over protobuf's length-delimited fields; it decodes nothing else. Field numbers: onnx.proto3.
"""

from __future__ import annotations

from ..errors import BundleError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
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


def refuse_external_data(model: bytes) -> None:
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
            if message == "tensor" and field in (_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION):
                value, _ = _varint(model, position, end)
                if field == _TENSOR_EXTERNAL_DATA or value != 0:
                    raise BundleError(
                        "the model keeps weights in another file; expected one ONNX with everything inside"
                    )
            if wire == _VARINT:
                _, position = _varint(model, position, end)
            elif wire == _FIXED64:
                position += 8
            elif wire == _FIXED32:
                position += 4
            elif wire == _BYTES:
                size, position = _varint(model, position, end)
                inside = _NESTED[message].get(field)
                if inside is not None:
                    pending.append((inside, position, position + size))
                position += size
            else:
                raise ValueError("unknown wire type")
        if position != end:
            raise ValueError("a field runs over the end of its message")


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
