"""Float16: converts an ONNX to it, and rounds every result of the student to it.

The conversion is that of `onnxconverter-common` (Microsoft, MIT). Weights and activations become float16; of an int8
model, all but the quantized layers, and the scales. Layers that
sum over many voxels or exponentiate stay in float32, between casts: norms, softmax, means. Interpolation does too,
because the library keeps it there. Input and output stay float32: a device's code is the same for each precision.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import MissingExtraError
from ..quiet import quiet_libraries
from .onnx_export import OUTPUT_NAME
from .onnx_helpers import check_onnx

if TYPE_CHECKING:
    import onnx
    import torch

_OPSET_OF_FLOAT16_PAIRS = 19  # the first whose QuantizeLinear reads float16; ONNX Runtime 1.15 and TensorRT 10 read it
# The library's own range for weights is narrower, 1e-7 to 10,000, and it changes those outside.
_SMALLEST, _LARGEST = float(np.finfo(np.float16).smallest_subnormal), float(np.finfo(np.float16).max)
_IN_FLOAT32 = (
    "BatchNormalization",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "ReduceMean",
    "ReduceSum",
    "Softmax",
)


def onnx_to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Converts a student.

    Of an int8 model, the layers without Q/DQ pairs become float16, and the pairs convert between float16 and int8, so
    that TensorRT's strongly typed engines compute nothing in float32 that fp16 does not.

    Args:
        model: float32 ONNX from `student_to_onnx`, or the Q/DQ model that `quantize_signed` made of it; not modified.

    Returns:
        A checked model with float32 input and output; its bytes are the same for the same model and library versions.

    Raises:
        MissingExtraError: onnx or onnxconverter-common is not installed.
        BundleError: the converted graph is not valid.
    """
    try:
        import onnx
        from onnxconverter_common import float16
    except ImportError as error:
        raise MissingExtraError(error.name or "onnxconverter-common", "export") from None
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    with quiet_libraries():
        if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            copied = onnx.version_converter.convert_version(copied, _OPSET_OF_FLOAT16_PAIRS)
        converted: onnx.ModelProto = float16.convert_float_to_float16(
            copied,
            min_positive_val=_SMALLEST,
            max_finite_val=_LARGEST,
            keep_io_types=True,
            op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *_IN_FLOAT32],
        )
    _return_float32(converted)
    check_onnx(converted, "float16 ONNX")
    return converted


def _return_float32(model: onnx.ModelProto) -> None:
    """Makes the output float32 where the last layer stayed in float32: the library casts that one's to float16."""
    from onnx import TensorProto

    (last,) = (node for node in model.graph.node if OUTPUT_NAME in node.output)
    for attribute in last.attribute:
        if last.op_type == "Cast" and attribute.name == "to":
            attribute.i = TensorProto.FLOAT
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT


class RoundedStudent:
    """The torch student with its weights and the result of every operation rounded to float16, as a GPU stores them.

    Each operation still computes in float32, as tensor cores and the norms of an fp16 model accumulate; a result beyond
    65,504 becomes infinite, as there. A CPU without float16 arithmetic cannot show that with the model itself: ONNX
    Runtime and OpenVINO compute fp16 models in float32 there, and would find each of them nearly exact.

    Args:
        network: the student in evaluation mode, float32, on the CPU; not modified.
    """

    name, precision = "torch", "fp16"

    def __init__(self, network: torch.nn.Module) -> None:
        import torch

        self._network = copy.deepcopy(network)
        with torch.no_grad():
            for weight in self._network.parameters():
                weight.copy_(weight.half())

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns logits [N, C, D, H, W] of patches [N, 1, D, H, W]; they may be infinite or NaN."""
        import torch

        with torch.inference_mode(), _rounding():
            return self._network(torch.from_numpy(patches)).numpy()


def _rounding() -> AbstractContextManager[Any]:
    """Returns a context in which the result of every torch operation is rounded to float16."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves, tree_map_only

    def rounded(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.half().float() if tensor.dtype == torch.float32 else tensor

    def round_in_place(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.copy_(rounded(tensor))

    def written(func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        """Returns the arguments that an operation changes, as in ``a += b``: the network goes on with them."""
        arguments = func._schema.arguments
        values = [*args, *(named.get(each.name) for each in arguments[len(args) :])]
        return [value for each, value in zip(arguments, values, strict=True) if each.is_write]

    class Rounding(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            named = kwargs or {}
            result = func(*args, **named)
            if func.is_view:
                return result
            changed = tree_leaves(tree_map_only(torch.Tensor, round_in_place, written(func, args, named)))
            return tree_map_only(
                torch.Tensor, lambda each: each if any(each is one for one in changed) else rounded(each), result
            )

    return Rounding()
