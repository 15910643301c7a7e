"""int8 for ONNX Runtime on CPUs: its own quantizer, with activations in uint8 and Q/DQ pairs behind the layers too.

ONNX Runtime computes a layer in int8 only where its output is quantized as well as its input, and fast on x86-64 only
with uint8 activations: of the symmetric model (`signed`) it computes every convolution in float32. A convolution of few
channels is slower in int8 than in float32, because all that it saves is arithmetic; `_FEWEST_CHANNELS` and
`_FEWEST_PRODUCTS` are where int8 begins to gain (benchmarks/quantization/README.md).

Weights use 7 of the 8 bits: CPUs with AVX2 alone add pairs of products in 16 bits, which saturate with 8-bit weights.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...runtime.engines import Precision
from ...runtime.errors import MissingExtraError, UsageError
from ..onnx_graphs.onnx_helpers import check_onnx
from ..quiet import quiet_libraries
from .layers import as_input, check_patches, heavy_layers

if TYPE_CHECKING:
    import onnx

_FEWEST_CHANNELS = 16  # of a convolution's input, and of its output
_FEWEST_PRODUCTS = 512  # channels of the input times those of the output
_ACTIVATIONS = ("Relu", "LeakyRelu")  # computed on the quantized values where they follow a layer in int8
_OPERATORS = ["Conv", "MatMul", "Gemm", *_ACTIVATIONS]


@dataclass(frozen=True, eq=False)
class UnsignedModel:
    """A student whose layers ONNX Runtime computes in int8; see `QuantizedModel`.

    Attributes:
        model: the Q/DQ model.
        exact: the float32 model.
        ranges: what ONNX Runtime's calibrator found: the range of every tensor at a heavy layer.
        layers: names of the layers in int8, in the order of the graph.
    """

    model: onnx.ModelProto
    exact: onnx.ModelProto
    ranges: Any
    layers: Sequence[str]
    precision: ClassVar[Precision] = "uint8"
    engine: ClassVar[str] = "onnxruntime"

    @classmethod
    def of(cls, exact: onnx.ModelProto, ranges: Any, layers: Sequence[str]) -> UnsignedModel:
        """Quantizes some layers of a float32 model.

        Raises:
            BundleError: the quantized graph is not valid.
        """
        model = _quantized(exact, ranges, layers) if layers else exact  # of none, the quantizer would quantize all
        check_onnx(model, "quantized ONNX")
        return cls(model, exact, ranges, layers)

    def without(self, layers: Collection[str]) -> UnsignedModel:
        """Returns the model with some of its layers in float32; the ranges of the others stay as they are."""
        return self.of(self.exact, self.ranges, [layer for layer in self.layers if layer not in layers])


def quantize_unsigned(model: onnx.ModelProto, patches: Sequence[NDArray[np.float32]]) -> UnsignedModel:
    """Quantizes a student with ONNX Runtime's quantizer: activations in uint8, weights in int8 per channel.

    Where no layer gains, all heavy ones are quantized, and the gate's times say that it is not worth it.

    Args:
        model: float32 ONNX from `student_to_onnx`; not modified.
        patches: calibration data, [1, 1, D, H, W] float32 each; the smallest and largest value of a tensor count.

    Raises:
        MissingExtraError: onnx is not installed.
        UsageError: there are no patches, or the model has no layer to quantize.
        BundleError: the quantized graph is not valid.
    """
    check_patches(patches)
    layers = layers_that_gain(model) or heavy_layers(model)
    if not layers:
        raise UsageError("the model has no layer to quantize; export fp32 only")
    return UnsignedModel.of(model, _ranges(model, patches), layers)


def layers_that_gain(model: onnx.ModelProto) -> list[str]:
    """Returns the names of the heavy layers that ONNX Runtime computes faster in int8, in the order of the graph."""
    heavy = set(heavy_layers(model))
    channels = {tensor.name: tuple(tensor.dims[:2]) for tensor in model.graph.initializer}  # of a kernel: output, input
    return [
        node.name
        for node in model.graph.node
        if node.name in heavy and (node.op_type != "Conv" or _gains(*channels[node.input[1]]))
    ]


def _gains(columns: int, inner: int) -> bool:
    return min(columns, inner) >= _FEWEST_CHANNELS and columns * inner >= _FEWEST_PRODUCTS


def _quantized(exact: onnx.ModelProto, ranges: Any, layers: Collection[str]) -> onnx.ModelProto:
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    results = {node.output[0] for node in exact.graph.node if node.name in layers}
    activations = [node.name for node in exact.graph.node if node.op_type in _ACTIVATIONS and node.input[0] in results]
    with quiet_libraries():
        quantizer = QDQQuantizer(
            onnx.shape_inference.infer_shapes(exact),
            per_channel=True,
            reduce_range=True,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=ranges,
            nodes_to_quantize=[*layers, *activations],
            nodes_to_exclude=[],
            op_types_to_quantize=_OPERATORS,
            extra_options={},
        )
        model: onnx.ModelProto = quantizer.quantize_model()
        quantizer.model.topological_sort()
    return model


def _ranges(model: onnx.ModelProto, patches: Sequence[NDArray[np.float32]]) -> Any:
    """Returns the range of every tensor at a heavy layer."""
    try:
        import onnx
        from onnxruntime.quantization.calibrate import CalibrationDataReader, create_calibrator
    except ImportError as error:
        raise MissingExtraError(error.name or "onnx", "export") from None

    class Patches(CalibrationDataReader):
        def __init__(self) -> None:
            self._left: Iterator[NDArray[np.float32]] = iter(patches)

        def get_next(self) -> Any:
            patch = next(self._left, None)
            return None if patch is None else as_input(patch)

    with TemporaryDirectory() as folder, quiet_libraries():
        file = Path(folder) / "model.onnx"
        onnx.save(onnx.shape_inference.infer_shapes(model), file)
        calibrator = create_calibrator(file, _OPERATORS, str(Path(folder) / "with_ranges.onnx"))
        calibrator.collect_data(Patches())
        return calibrator.compute_data()
