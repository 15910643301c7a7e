"""Reads a model's bytes, from a file, from memory or from a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from .. import arguments
from ..errors import BundleError
from ..shortage import raise_shortage


class ModelFormat(Enum):
    """The format of a model file."""

    ONNX = "onnx"
    OPENVINO_IR = "openvino-ir"

    @staticmethod
    def of(name: str) -> ModelFormat:
        """Returns the format of a file by its name: ``.xml`` is an OpenVINO IR, everything else ONNX."""
        return ModelFormat.OPENVINO_IR if name.endswith(".xml") else ModelFormat.ONNX


@dataclass(frozen=True)
class ModelBytes:
    """A model in memory.

    Attributes:
        graph: an ONNX file, or the ``.xml`` of an OpenVINO IR.
        weights: the ``.bin`` of an IR; None for an ONNX file, which includes its weights.
    """

    graph: bytes
    weights: bytes | None = None


Model: TypeAlias = "Path | bytes | Callable[[], ModelBytes]"  # the function is called only if its bytes are needed


def model_bytes(model: Model) -> ModelBytes:
    """Returns a model's bytes; for the ``.xml`` of an IR, also those of the ``.bin`` in the same folder.

    Raises:
        UsageError: a function returns something else.
        BundleError: a file cannot be read.
        ResourceError: file descriptors ran out, or the disk failed.
    """
    if isinstance(model, bytes):
        return ModelBytes(model)
    if not isinstance(model, Path):
        return arguments.instance("model", model(), ModelBytes, "of a function that returns them")
    has_weights_file = ModelFormat.of(model.name) is ModelFormat.OPENVINO_IR
    return ModelBytes(_read(model), _read(model.with_suffix(".bin")) if has_weights_file else None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise_shortage(error, f"model file {path.name}")
        raise BundleError(f"model file {path.name} cannot be read: {reason}") from None
