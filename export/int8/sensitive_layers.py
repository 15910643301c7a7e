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
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING

from ...runtime.bundles.figures import SensitiveLayer
from ...runtime.engines import open_engine
from ..gate.verdict import bounds_used
from ..parity import NotFiniteError
from .layers import QuantizedModel

if TYPE_CHECKING:
    import onnx

    from ..reference import Reference

ENOUGH = 0.5  # of a bound: int8 that uses no more passes with room
_LEAST_PRICE = 0.01  # of a bound, for which a layer is worth its speed
_RANKING_SHARE = 0.75  # of the time, after which those layers count that have been measured

Cost = Callable[[QuantizedModel], float]


@dataclass(frozen=True, eq=False)
class SearchedModel:
    """An int8 model without the layers that cost most of its accuracy.

    Attributes:
        quantized: the model.
        sensitive: those layers, the one that cost most first.
    """

    quantized: QuantizedModel
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

    def __call__(self, quantized: QuantizedModel) -> float:
        """Returns the share of a model, run by its engine; infinite where its output holds NaN or infinity."""
        content = quantized.model.SerializeToString(deterministic=True)
        opened = open_engine(quantized.engine, content, threads=self.threads, precision=quantized.precision)
        with closing(opened) as engine:
            try:
                comparison = self.reference.compare_on_patches(engine)
            except NotFiniteError:
                return inf
        return bounds_used(comparison.parity, comparison.borders)


def without_sensitive_layers(
    quantized: QuantizedModel, cost: Cost, seconds: float, remark: Callable[[str], None]
) -> SearchedModel:
    """Returns an int8 model without the layers that int8 costs most; at least one layer stays in int8.

    Args:
        quantized: the model with all of them.
        cost: the largest share of a bound of the gate that a model uses, as `BoundsUsed` measures it.
        seconds: the search ends after that time, and the layers found so far count; 0 for no search.
        remark: called with notes on the progress.
    """
    used = cost(quantized) if seconds else 0.0
    if used <= ENOUGH or not isfinite(used):
        return SearchedModel(quantized)
    precision, exact = quantized.precision, quantized.exact
    remark(f"{precision} uses {_percent(used)} of the gate's bounds; the layers that cost most are searched")
    begun, count = time.monotonic(), len(quantized.layers)
    gains: dict[str, float] = {}
    for layer in quantized.layers if count > 1 else ():
        if time.monotonic() - begun > _RANKING_SHARE * seconds:
            remark(f"the time allows to measure {len(gains)} of {count} layers")
            break
        gains[layer] = used - cost(quantized.without([layer]))
    sensitive: list[SensitiveLayer] = []
    for layer in sorted(gains, key=lambda each: -gains[each]):
        if used <= ENOUGH or time.monotonic() - begun > seconds or len(quantized.layers) == 1:
            break
        less = quantized.without([layer])
        left = cost(less)
        if used - left >= _LEAST_PRICE:
            sensitive.append(SensitiveLayer(name=_title(exact, layer), price=used - left, precision=precision))
            quantized, used = less, left
    remark(f"{len(sensitive)} layers stay in floating point; {precision} uses {_percent(used)} of the gate's bounds")
    return SearchedModel(quantized, tuple(sensitive))


def _title(exact: onnx.ModelProto, layer: str) -> str:
    """Returns the name of a layer in the trained network, if its weights have one, or else its name in the ONNX."""
    weights = {tensor.name for tensor in exact.graph.initializer}
    (node,) = (node for node in exact.graph.node if node.name == layer)
    names = [name for name in node.input if name in weights and ".weight" in name]
    return names[0].replace(".weight", "") if names else layer


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
