"""Exports a torch student to one self-contained ONNX file: static patch, free batch, folded constants.

Swin transformers compute their attention masks and the indices of the position bias from shapes alone. With a static
patch these are constants, but the exporter leaves their derivation in the graph (at 64³ half of all nodes) and stores
one copy of the same index table per block. `window_attention` replaces the masks first; this module folds the rest and
removes the copies.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING

from ...runtime.axes import DHW
from ...runtime.errors import BundleError, MissingExtraError, UsageError, first_line
from ...training.fusion import fused_copy
from ..quiet import quiet_libraries
from .flat_transposes import flatten_transposes
from .onnx_helpers import check_onnx

if TYPE_CHECKING:
    import onnx
    import torch

INPUT_NAME = "image"
OUTPUT_NAME = "logits"
BATCH_NAME = "batch"
OPSET = 18  # native to torch's exporter; ONNX Runtime ≥ 1.14 and TensorRT ≥ 8.6 read it
IR_VERSION = 10  # the newest that ONNX Runtime 1.18 reads
_UNKNOWN_OPERATOR = re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'")


def student_to_onnx(model: torch.nn.Module, patch_dhw: DHW) -> onnx.ModelProto:
    """Exports a student.

    Args:
        model: maps [B, 1, D, H, W] float32 to logits [B, C, D, H, W]; not modified: a copy is exported, on the CPU,
            with its fusable blocks fused.
        patch_dhw: patch in voxels, fixed in the ONNX; the batch stays free.

    Returns:
        A checked model with input ``image`` and output ``logits`` and all weights inside; its bytes are the same for
        the same weights and library versions.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
        UsageError: torch cannot trace the model, or the model does not accept the patch.
        BundleError: the exported graph is not valid or not of the expected shape, or an attention mask does not
            separate regions.
    """
    try:
        import onnxscript.optimizer
    except ImportError as error:
        raise MissingExtraError(error.name or "onnxscript", "export") from None
    exported = _traced(fused_copy(model).cpu().float(), patch_dhw)
    # Everything no larger than the image at half resolution is folded; the codes of a first stage's regions are not.
    # Folding first and rewriting after keeps the pattern rewriter, the slow part, away from thousands of dead nodes.
    size = math.prod(patch_dhw) // 4
    with quiet_libraries():
        onnxscript.optimizer.fold_constants(
            exported, onnx_shape_inference=True, input_size_limit=size, output_size_limit=size
        )
        onnxscript.optimizer.remove_unused_nodes(exported)
        folded = onnxscript.optimizer.optimize(exported, input_size_limit=size, output_size_limit=size)
    _strip(folded)
    flatten_transposes(folded)
    _share_initializers(folded)
    _name_dimensions(folded)
    check_onnx(folded, "exported ONNX")
    return folded


def _traced(model: torch.nn.Module, patch_dhw: DHW) -> onnx.ModelProto:
    import torch

    from .window_attention import replace_masks

    # Two patches, because torch specialises a graph traced with a batch of one to a batch of one.
    example = torch.zeros((2, 1, *patch_dhw))
    try:
        with quiet_libraries():
            replace_masks(model, patch_dhw)
            program = torch.onnx.export(
                model,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                dynamic_shapes=({0: torch.export.Dim(BATCH_NAME)},),
                optimize=False,
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, ValueError) as error:
        patch = "×".join(str(size) for size in patch_dhw)
        raise UsageError(f"torch cannot export this model at patch {patch} (D, H, W): {_reason(error)}") from None
    if program is None:
        raise BundleError("torch returned no ONNX program; expected one from torch ≥ 2.6")
    exported: onnx.ModelProto = program.model_proto
    return exported


def _reason(error: BaseException) -> str:
    """Returns why torch failed: the operator without an ONNX form, where one of the causes names it."""
    cause: BaseException | None = error
    while cause is not None:
        operator = _UNKNOWN_OPERATOR.search(str(cause))
        if operator:
            return f"the operator {operator[1]} has no ONNX form"
        cause = cause.__cause__
    return first_line(error.__cause__ or error)


def _strip(model: onnx.ModelProto) -> None:
    """Removes the exporter's debugging data: source paths and stack traces, different on every machine."""
    graph = model.graph
    for holder in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del holder.metadata_props[:]
        holder.doc_string = ""
    for number, node in enumerate(graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    graph.name = "student"
    model.ir_version = min(model.ir_version, IR_VERSION)


def _share_initializers(model: onnx.ModelProto) -> None:
    """Keeps one of several equal constants, such as the index table that every attention block holds."""
    kept: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    unique: list[onnx.TensorProto] = []
    for tensor in model.graph.initializer:
        key = hashlib.sha256(repr((tensor.data_type, tuple(tensor.dims))).encode() + tensor.raw_data).digest()
        if tensor.HasField("raw_data") and key in kept:
            renamed[tensor.name] = kept[key]
            continue
        kept.setdefault(key, tensor.name)
        unique.append(tensor)
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = renamed.get(name, name)
    dropped = [info for info in model.graph.value_info if info.name in renamed]
    for info in dropped:
        model.graph.value_info.remove(info)
    del model.graph.initializer[:]
    model.graph.initializer.extend(unique)


def _name_dimensions(model: onnx.ModelProto) -> None:
    """Checks that only the batch of input and output is free, and names it."""
    for value, name in ((model.graph.input[0], INPUT_NAME), (model.graph.output[0], OUTPUT_NAME)):
        dimensions = value.type.tensor_type.shape.dim
        fixed = [dimension.dim_value for dimension in dimensions[1:]]
        if value.name != name or len(dimensions) != 5 or not all(size > 0 for size in fixed):
            raise BundleError(f"the exported ONNX has {value.name} {fixed}; expected {name} [batch, C, D, H, W]")
        if not dimensions[0].dim_param:
            raise BundleError(f"the exported ONNX has a fixed batch of {dimensions[0].dim_value}; expected a free one")
        dimensions[0].dim_param = BATCH_NAME
