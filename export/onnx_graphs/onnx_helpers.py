"""What several rewrites of an ONNX need: the check of the result, and the shapes of the tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...runtime.errors import BundleError, first_line

if TYPE_CHECKING:
    import onnx


def check_onnx(model: onnx.ModelProto, what: str) -> None:
    """Checks that a model is valid, with the types and shapes of its tensors.

    Args:
        model: the model.
        what: what it is, for the message: ``"exported ONNX"``.

    Raises:
        BundleError: it is not valid.
    """
    import onnx

    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BundleError(f"the {what} is not valid: {first_line(error)}") from None


def fixed_shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Returns name → shape of the input and of what the nodes compute, the output left out.

    A size that is free, such as the batch, or that cannot be inferred is 0.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info)
    }
