"""Finds the layers that int8 costs most, and keeps them in floating point.

The measure is the gate's own, on the patches on which export compares every variant with the student; labels play no
part. Where int8 uses at most half of every bound, nothing is searched. Otherwise each layer by itself is returned to
floating point once, which ranks the layers; then they are returned in that order, the one that costs most first, until
half of every bound is free, none is left that costs a hundredth of a bound, or the time is over. Ranges and weights of
the other layers stay as they are, so that nothing is calibrated again. A model whose output holds NaN or infinity is
not searched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING

from ..runtime.bundles.figures import SensitiveLayer
from ..runtime.engines import open_engine
from .gate.verdict import bounds_used
from .parity import NotFiniteError
from .quantize import split_for_int8

if TYPE_CHECKING:
    import onnx

    from .reference import Reference

ENOUGH = 0.5  # of a bound: int8 that uses no more passes with room
_LEAST_PRICE = 0.01  # of a bound, for which a layer is worth its speed
_RANKING_SHARE = 0.75  # of the time, after which those layers count that have been measured

Cost = Callable[["onnx.ModelProto"], float]


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """An int8 model with the layers that were kept in floating point for its accuracy.

    Attributes:
        model: the Q/DQ model.
        sensitive: those layers, the one that cost most first.
    """

    model: onnx.ModelProto
    sensitive: tuple[SensitiveLayer, ...] = ()


@dataclass(frozen=True, eq=False)
class BoundsUsed:
    """Measures the largest share of a bound of the gate that an int8 model uses; above 1 it fails.

    Attributes:
        reference: the student and the patches of the comparison.
        threads: CPU threads; None for all.
    """

    reference: Reference
    threads: int | None

    def __call__(self, model: onnx.ModelProto) -> float:
        """Returns the share of a Q/DQ model, run by OpenVINO; infinite where its output holds NaN or infinity."""
        content = model.SerializeToString(deterministic=True)
        with closing(open_engine("openvino", content, threads=self.threads, precision="int8")) as engine:
            try:
                closeness = self.reference.closeness(engine)
            except NotFiniteError:
                return inf
        return bounds_used(closeness.parity, closeness.borders)


def without_sensitive_layers(
    quantized: onnx.ModelProto,
    exact: onnx.ModelProto,
    cost: Cost,
    seconds: float,
    remark: Callable[[str], None],
) -> QuantizedModel:
    """Returns an int8 model without the layers that int8 costs most; at least one layer stays in int8.

    Args:
        quantized: what `quantize_onnx` made of ``exact``; not modified.
        exact: the float32 model; not modified.
        cost: the largest share of a bound of the gate that a model uses, as `BoundsUsed` measures it.
        seconds: the search ends after that time, and the layers found so far count; 0 for no search.
        remark: called with notes on the progress.
    """
    used = cost(quantized) if seconds else 0.0
    if used <= ENOUGH or not isfinite(used):
        return QuantizedModel(quantized)
    remark(f"int8 uses {_percent(used)} of the gate's bounds; the layers that cost most are searched")
    begun, exact = time.monotonic(), split_for_int8(exact)
    gains: dict[str, float] = {}
    for layer in int8_layers(quantized):
        if time.monotonic() - begun > _RANKING_SHARE * seconds:
            remark(f"the time allows to measure {len(gains)} of {len(int8_layers(quantized))} layers")
            break
        gains[layer] = used - cost(in_float(quantized, exact, [layer]))
    result = QuantizedModel(quantized)
    for layer in sorted(gains, key=lambda each: -gains[each]):
        if used <= ENOUGH or time.monotonic() - begun > seconds or len(int8_layers(result.model)) == 1:
            break
        model = in_float(result.model, exact, [layer])
        left = cost(model)
        if used - left >= _LEAST_PRICE:
            found = SensitiveLayer(name=_title(exact, layer), price=used - left)
            result, used = QuantizedModel(model, (*result.sensitive, found)), left
    remark(f"{len(result.sensitive)} layers stay in floating point; int8 uses {_percent(used)} of the gate's bounds")
    return result


def int8_layers(model: onnx.ModelProto) -> list[str]:
    """Returns the names of the layers of a Q/DQ model that are quantized, in the order of the graph."""
    dequantized = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return [node.name for node in model.graph.node if len(dequantized & set(node.input)) > 1]


def in_float(quantized: onnx.ModelProto, exact: onnx.ModelProto, layers: Collection[str]) -> onnx.ModelProto:
    """Returns a Q/DQ model with some of its layers as they are in the float32 model.

    Args:
        quantized: the Q/DQ model; not modified.
        exact: the float32 model, with nodes of the same names (`split_for_int8`).
        layers: names of the layers.
    """
    import onnx
    import onnxscript.optimizer

    model = onnx.ModelProto()
    model.CopyFrom(quantized)
    weights = {tensor.name: tensor for tensor in exact.graph.initializer}
    inputs = {node.name: node.input for node in exact.graph.node if node.name in layers}
    for node in model.graph.node:
        for position, name in enumerate(inputs.get(node.name, ())):
            node.input[position] = name
            if name in weights:  # under another name, because biases, too, are others beside int8 weights
                node.input[position] = f"{name}.{node.name}"
                tensor = model.graph.initializer.add()
                tensor.CopyFrom(weights[name])
                tensor.name = node.input[position]
    onnxscript.optimizer.remove_unused_nodes(model)
    return model


def _title(model: onnx.ModelProto, layer: str) -> str:
    """Returns the name of a layer in the trained network, if its weights have one, or else its name in the ONNX."""
    weights = {tensor.name for tensor in model.graph.initializer}
    (node,) = (node for node in model.graph.node if node.name == layer)
    names = [name for name in node.input if name in weights and ".weight" in name]
    return names[0].replace(".weight", "") if names else layer


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
