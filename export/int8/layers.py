"""The layers of a network with most of its arithmetic, and what both forms of int8 have in common."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from ...runtime.engines import Precision
from ...runtime.errors import UsageError
from ..onnx_graphs.onnx_export import INPUT_NAME

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray


class QuantizedModel(Protocol):
    """A network with int8 layers, which can be had with some of them in floating point."""

    precision: ClassVar[Precision]
    """Precision of the model, which names its form: ``"int8"`` or ``"uint8"``."""

    engine: ClassVar[str]
    """Name of the engine that shows what int8 costs the model."""

    @property
    def exact(self) -> onnx.ModelProto:
        """The float32 model that it was made of, with nodes of the same names."""
        ...

    @property
    def model(self) -> onnx.ModelProto:
        """The Q/DQ model; not to be modified."""
        ...

    @property
    def layers(self) -> Sequence[str]:
        """Names of the layers in int8, in the order of the graph."""
        ...

    def without(self, layers: Collection[str]) -> QuantizedModel:
        """Returns the model with some of its layers in floating point; the ranges of the others stay as they are."""
        ...


def heavy_layers(model: onnx.ModelProto) -> list[str]:
    """Returns the names of the layers with most of the arithmetic, in the order of the graph.

    They are convolutions with a spatial kernel, but not those on the image itself, which has one channel and is the
    only view of the intensities, and matrix products with constant weights.
    """
    graph = model.graph
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    heavy: list[str] = []
    for node in graph.node:
        constant = any(name in weights for name in node.input)
        spatial = node.op_type == "Conv" and any(size > 1 for size in weights.get(node.input[1], ())[2:])
        if INPUT_NAME not in node.input and (spatial or (node.op_type in ("MatMul", "Gemm") and constant)):
            heavy.append(node.name)
    return heavy


def as_input(patch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Returns a calibration patch [1, 1, D, H, W] by the name of the network's input."""
    return {INPUT_NAME: patch}


def check_patches(patches: Collection[object]) -> None:
    """Checks that there are calibration patches.

    Raises:
        UsageError: there are none.
    """
    if not patches:
        raise UsageError("int8 needs calibration patches, got none; give --calibration a data set with scans")
