"""Puts the argmax into a network's ONNX, for hosts that run single windows and want labels instead of logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...runtime.errors import BundleError, MissingExtraError
from ...runtime.labels.best_class import label_dtype
from .onnx_export import OUTPUT_NAME
from .onnx_helpers import check_onnx

if TYPE_CHECKING:
    import onnx

LABELS_NAME = "labels"


def onnx_of_labels(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a network that gives the most probable class of every voxel; of equal logits the lower class wins.

    Args:
        model: ONNX with the output ``logits`` [N, C, D, H, W], of any precision; not modified.

    Returns:
        A checked model with the output ``labels`` [N, D, H, W] alone: uint8, or uint16 with more than 256 classes. The
        runtime of this project does not take it: windows that overlap need logits.

    Raises:
        MissingExtraError: onnx is not installed.
        BundleError: the model has no such output, or the result is not valid.
    """
    try:
        import onnx
        from onnx import helper
    except ImportError as error:
        raise MissingExtraError(error.name or "onnx", "export") from None
    (logits, *others) = model.graph.output
    sizes = logits.type.tensor_type.shape.dim
    if others or logits.name != OUTPUT_NAME or len(sizes) != 5:
        raise BundleError(f"the ONNX has no single output {OUTPUT_NAME} [N, C, D, H, W]; export the bundle again")
    kind = helper.np_dtype_to_tensor_dtype(label_dtype(sizes[1].dim_value)().dtype)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    graph.node.append(helper.make_node("ArgMax", [OUTPUT_NAME], ["best_class"], "best_class", axis=1, keepdims=0))
    graph.node.append(helper.make_node("Cast", ["best_class"], [LABELS_NAME], LABELS_NAME, to=kind))
    shape = [size.dim_param or size.dim_value for size in (sizes[0], *sizes[2:])]
    graph.output[0].CopyFrom(helper.make_tensor_value_info(LABELS_NAME, kind, shape))
    check_onnx(changed, "ONNX of labels")
    return changed
