"""int8 for OpenVINO and TensorRT: symmetric Q/DQ pairs at the inputs of the heavy layers, calibrated by NNCF.

Of the heavy layers (`heavy_layers`), these stay in float32, as all others do:

- 1³ convolutions, the head and the residual projections: little arithmetic, and OpenVINO 2026.4 computes wrong values
  when a 1³ and a 3³ convolution share one quantized input (measured: 85 % instead of 99 % of the labels agree);
- convolutions whose input is a Concat that only quantized layers read, also through ReLU or scaling or shifting by
  constants: OpenVINO computes wrong values there too. On a Concat of channels, such as a U-Net has at every skip
  connection, `split_convolutions` first replaces them by convolutions that can be quantized, and documents the defect;
- transposed convolutions, attention (products of two activations, softmax), norms and sums.

Weights use 7 of the 8 bits. CPUs without VNNI or AMX add pairs of products in 16 bits, which saturate with 8-bit
weights: on a CPU with AVX2 alone, OpenVINO kept 94 to 96 % of a small U-Net's labels where ONNX Runtime kept 99 %. With
7 bits both keep 99 % on every CPU; that costs one to four labels in a thousand.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...runtime.engines import Precision
from ...runtime.engines.open_vino import import_openvino
from ...runtime.errors import BundleError, MissingExtraError, UsageError
from ..onnx_graphs.onnx_helpers import check_onnx
from ..quiet import quiet_libraries
from .layers import as_input, check_patches, heavy_layers
from .split_convolutions import split_convolutions

if TYPE_CHECKING:
    import onnx

_QUANTIZER_PASSES = ("Relu", "Add", "Sub", "Mul", "Div", "BatchNormalization")  # where the other inputs are constants
_UINT8_TO_INT8 = 255 / 127  # a zero-based range needs coarser steps once half the codes are for negative values


@dataclass(frozen=True, eq=False)
class SignedModel:
    """A student with symmetric int8 layers; see `QuantizedModel`.

    Attributes:
        model: the Q/DQ model.
        exact: the float32 model, split, with nodes of the same names.
    """

    model: onnx.ModelProto
    exact: onnx.ModelProto
    precision: ClassVar[Precision] = "int8"
    engine: ClassVar[str] = "openvino"

    @property
    def layers(self) -> list[str]:
        """Names of the quantized layers, in the order of the graph."""
        dequantized = {node.output[0] for node in self.model.graph.node if node.op_type == "DequantizeLinear"}
        return [node.name for node in self.model.graph.node if len(dequantized & set(node.input)) > 1]

    def without(self, layers: Collection[str]) -> SignedModel:
        """Returns the model with some of its layers as they are in the float32 model."""
        import onnx
        import onnxscript.optimizer

        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        weights = {tensor.name: tensor for tensor in self.exact.graph.initializer}
        products = {node.output[0] for node in self.exact.graph.node if node.name in layers}
        inputs = {  # of the layers, and of the sums that add a bias to one, because NNCF corrects biases for int8
            node.name: node.input
            for node in self.exact.graph.node
            if node.name in layers or (node.op_type == "Add" and products & set(node.input))
        }
        for node in model.graph.node:
            for position, name in enumerate(inputs.get(node.name, ())):
                node.input[position] = name
                if name in weights:  # under another name, because biases, too, are others beside int8 weights
                    node.input[position] = f"{name}.{node.name}"
                    tensor = model.graph.initializer.add()
                    tensor.CopyFrom(weights[name])
                    tensor.name = node.input[position]
        onnxscript.optimizer.remove_unused_nodes(model)
        return SignedModel(model, self.exact)


def quantize_signed(model: onnx.ModelProto, patches: Sequence[NDArray[np.float32]]) -> SignedModel:
    """Quantizes a student with NNCF: int8, symmetric (all zero points 0, as TensorRT requires), weights per channel.

    Args:
        model: float32 ONNX from `student_to_onnx`; not modified.
        patches: calibration data, [1, 1, D, H, W] float32 each.

    Returns:
        A checked Q/DQ model; the weights of quantized layers are stored as int8.

    Raises:
        MissingExtraError: nncf, onnx or openvino is not installed.
        ResourceError: OpenVINO cannot be imported.
        UsageError: there are no patches, or the model has no layer to quantize.
        BundleError: the quantized graph is not valid or not symmetric.
    """
    check_patches(patches)
    if find_spec("openvino") is None:
        raise MissingExtraError("openvino", "export")
    import_openvino()  # makes the package unimportable through which NNCF, too, sends usage events
    try:
        with quiet_libraries():
            import nncf
            from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix
    except ImportError as error:
        raise MissingExtraError(error.name or "nncf", "export") from None
    exact = split_convolutions(model, heavy_layers(model))
    chosen = quantizable_nodes(exact)
    if not chosen:
        raise UsageError("the model has no layer to quantize; export fp32 only")
    others = [node.name for node in exact.graph.node if node.name not in chosen]
    with quiet_libraries():
        quantized: onnx.ModelProto = nncf.quantize(
            exact,
            nncf.Dataset(list(patches), as_input),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            subset_size=len(patches),
            ignored_scope=nncf.IgnoredScope(names=others, validate=False),
            advanced_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
        )
    make_signed(quantized)
    check_onnx(quantized, "quantized ONNX")
    return SignedModel(quantized, exact)


def quantizable_nodes(model: onnx.ModelProto) -> set[str]:
    """Returns the names of the layers to quantize; the module's docstring says which and why."""
    nodes = model.graph.node
    heavy = set(heavy_layers(model))
    constants = {tensor.name for tensor in model.graph.initializer}
    read_by_others = {name for node in nodes if node.name not in heavy for name in node.input}
    behind_concat: set[str] = set()  # tensors from which OpenVINO can move a quantizer in front of a Concat
    concat_with_other_readers: set[str] = set()
    for node in nodes:
        if node.op_type == "Concat":
            (concat_with_other_readers if node.output[0] in read_by_others else behind_concat).add(node.output[0])
        elif (
            node.op_type in _QUANTIZER_PASSES
            and set(node.input) <= behind_concat | concat_with_other_readers | constants
        ):
            behind_concat.add(node.output[0])
    return heavy - {node.name for node in nodes if node.op_type == "Conv" and node.input[0] in behind_concat}


def make_signed(model: onnx.ModelProto) -> None:
    """Converts uint8 Q/DQ pairs, which NNCF inserts for activations that are never negative, to int8, in place.

    Raises:
        BundleError: after the conversion a pair has a zero point other than int8 0, or there is no pair at all.
    """
    from onnx import TensorProto, numpy_helper

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    unsigned = {
        (node.input[1], node.input[2])
        for node in pairs
        if len(node.input) > 2 and tensors[node.input[2]].data_type == TensorProto.UINT8
    }
    for scale_name in {scale for scale, _ in unsigned}:  # a tensor may serve several pairs: each is changed once
        scale = tensors[scale_name]
        coarser = (numpy_helper.to_array(scale) * _UINT8_TO_INT8).astype(np.float32)
        scale.CopyFrom(numpy_helper.from_array(coarser, scale_name))
    for zero_name in {zero for _, zero in unsigned}:
        zero = tensors[zero_name]
        signed = numpy_helper.to_array(zero).astype(np.int8)  # other than 0 only if not symmetric: refused below
        zero.CopyFrom(numpy_helper.from_array(signed, zero_name))
    noted = {name for _, name in unsigned} | {
        node.output[0] for node in pairs if node.op_type == "QuantizeLinear" and tuple(node.input[1:3]) in unsigned
    }
    for value in model.graph.value_info:
        if value.name in noted:
            value.type.tensor_type.elem_type = TensorProto.INT8
    _check_symmetric(model)


def _check_symmetric(model: onnx.ModelProto) -> None:
    from onnx import TensorProto, numpy_helper

    tensors: dict[str, Any] = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    if not pairs:
        raise BundleError("the quantizer left the model in float32; expected Q/DQ pairs")
    for node in pairs:
        zero = tensors.get(node.input[2]) if len(node.input) > 2 else None
        if zero is None or zero.data_type != TensorProto.INT8 or numpy_helper.to_array(zero).any():
            raise BundleError(f"{node.name}: expected an int8 zero point of 0; TensorRT takes no other")
