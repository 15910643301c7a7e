"""Predicts the memory of an opened network: what the engine keeps of its weights, and the activations of a window."""

from __future__ import annotations

from ...runtime.engines import Precision
from .costs import ModelCost
from .planned_model import PlannedVariant
from .roofline import FACTOR, Interval, activation_bytes

_FLOAT = 4  # bytes of a weight
_OPENED: dict[tuple[str, str], tuple[float, float]] = {
    # (engine, precision) → copies of the weights in float32, and bytes of what does not depend on them. An engine keeps
    # the weights that it read and those in the order in which it computes, and OpenVINO in int8 much of what it
    # rewrote. Fitted to five students on one CPU: benchmarks/planner/README.md.
    ("openvino", "fp32"): (2.2, 9.5e6),
    ("openvino", "bf16"): (1.7, 9.0e6),
    ("openvino", "int8"): (0.9, 16.0e6),
    ("onnxruntime", "fp32"): (2.05, 0.5e6),
    ("onnxruntime", "int8"): (0.6, 1.0e6),
}


def engine_memory(variant: PlannedVariant, engine: str, precision: Precision) -> Interval:
    """Returns the bytes of an opened network and of one window's activations, without the logits.

    Where it is not known what an engine keeps of the weights, they count once. An engine may compute in place, or keep
    activations twice: the interval. Of ONNX Runtime, how it places the activations is known too.

    Args:
        variant: the network in this precision.
        engine: row of the engine table.
        precision: what it computes in.
    """
    copies, fixed = _OPENED.get((engine, precision), (0.0, float(variant.model_bytes)))
    opened = copies * _FLOAT * variant.cost.parameters + fixed
    activations = _activations(variant.cost, engine, precision)
    return Interval(opened + activations / FACTOR, opened + activations, FACTOR * (opened + activations))


def _activations(cost: ModelCost, engine: str, precision: Precision) -> int:
    """Returns the bytes of a window's activations."""
    if engine == "onnxruntime":
        return cost.onnxruntime_bytes
    activations = activation_bytes(cost, precision)
    last = next((node for node in reversed(cost.nodes) if not node.fused), None)
    if engine == "openvino" and last is not None and last.op == "ConvTranspose":
        # Its output is float32, as the network's; OpenVINO then computes it in float32 whatever the precision.
        return max(activations, _FLOAT * (last.read + last.written))
    return activations
