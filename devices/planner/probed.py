"""Predicts the time of a window from a probe: each node at the speed of the probe's kernels that resemble it.

A kernel's speed is its time per operation, or per byte where it only moves values. Between kernels of one kind the
logarithm of that time is interpolated by inverse distance (Shepard 1968) over the logarithms of their sizes; beyond
them, the nearest kernels decide. Speed changes slowly with size, so this needs few kernels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..probe.results import KernelTime, Probe, Series
from ..probe.work import MovedWork, OutputWork, ProductWork, kernel_work
from .costs import ModelCost, NodeCost, Product
from .operators import MOVES, SUMS
from .roofline import Interval, float_format, quantized_format

if TYPE_CHECKING:
    from ...runtime.engines import Precision

_POWER = 4.0  # of the distance; high, so that a kernel nearby outweighs several far away
_NEAR = 0.05  # octaves; a kernel closer than this decides alone
_COVERED = 0.8  # share of errors that an interval covers
_LEAST_SPREAD = 0.15  # half-width of an interval where the kernels agree better than a network's nodes are known

_NORMS = {"InstanceNormalization": "instance norm", "LayerNormalization": "layer norm"}
_OUTPUTS = {"Conv": "output", "ConvTranspose": "transposed output", "Resize": "resized output"}
_RESAMPLED = {"MaxPool", "AveragePool", "Resize"}

_SIMILAR = {  # kind → the kind in whose place it is taken where the probe has none
    "strided conv": "conv",
    "pointwise conv": "conv",
    "transposed conv": "conv",
    "matmul": "pointwise conv",
    "attention": "matmul",
    "instance norm": "pointwise",
    "layer norm": "pointwise",
    "softmax": "pointwise",
    "resize": "copy",
    "copy": "pointwise",
}


@dataclass(frozen=True)
class _Sized:
    """A kernel or node: its kind, its sizes in octaves, and its amount of work."""

    kind: str
    sizes: tuple[float, ...]
    amount: float


@dataclass(frozen=True)
class _Known:
    """A kernel's sizes and the logarithm of its seconds per amount of work."""

    sizes: tuple[float, ...]
    rate: float


class ProbedSpeed:
    """How fast a probed device is with one engine, in one precision, with a number of threads.

    Args:
        floats: the times of kernels that are not quantized.
        quantized: those of the quantized ones; None where the precision has none.
    """

    def __init__(self, floats: Series, quantized: Series | None = None) -> None:
        kernels = [*floats.kernels, *(() if quantized is None else quantized.kernels)]
        call = next((each for each in kernels if each.kind == "call"), None)
        self._node_seconds = 0.0 if call is None else call.seconds
        self._call_seconds = 0.0 if call is None else call.network_seconds
        self._known: dict[tuple[str, bool], list[_Known]] = {}
        for each in kernels:
            if each.kind != "call":
                sized = _sized_kernel(each)
                seconds = max(each.seconds - self._node_seconds, 0.1 * each.seconds)
                known = _Known(sized.sizes, math.log(seconds / sized.amount))
                self._known.setdefault((sized.kind, each.quantized), []).append(known)
        self._residual = _quantile(self._residuals(), _COVERED)

    def window_seconds(self, cost: ModelCost) -> Interval | str:
        """Returns the time of a window, in s, with an interval that is to hold 80 % of measurements.

        A sentence comes in its place where the probe has no kernel that resembles one of the nodes.

        Its width is that within which the probe's kernels predict each other, each left out once. The errors of nodes
        are independent, so that of a window shrinks with the number of nodes that share its time.
        """
        unlike = next((node.op for node in cost.nodes if not self._resembles(node)), None)
        if unlike is not None:
            return f"the probe has no kernel that resembles {unlike}"
        last = max((place for place, node in enumerate(cost.nodes) if _sized_node(node) is not None), default=None)
        times = [
            self._output_seconds(node) if place == last else self.node_seconds(node)
            for place, node in enumerate(cost.nodes)
        ]
        seconds = self._call_seconds + sum(times)
        independent = math.sqrt(sum(each**2 for each in times)) / seconds if seconds else 0.0
        return Interval.within_factor(seconds, math.exp(max(_LEAST_SPREAD, self._residual * independent)))

    def node_seconds(self, node: NodeCost) -> float:
        """Returns the time of one node, in s; 0 where an engine computes it along with another."""
        sized = _sized_node(node)
        return 0.0 if sized is None else self._node_seconds + self._of(sized, node.quantized)

    def _output_seconds(self, node: NodeCost) -> float:
        """Returns the time of the last layer, in s: engines write its result to fresh memory, in float32."""
        kind = _OUTPUTS.get(node.op)
        if kind is None or (kind, False) not in self._known:
            return self.node_seconds(node)
        columns = node.columns
        inner = columns if node.product is None else _summed(node, node.product)
        sizes = (math.log2(inner), math.log2(max(1, node.written // columns)))
        return self._node_seconds + self._of(_Sized(kind, sizes, node.written), False)

    def _of(self, sized: _Sized, quantized: bool) -> float:
        """Returns the time of an amount of work, at the speed of the kernels that resemble it."""
        return sized.amount * math.exp(_interpolated(self._kernels(sized.kind, quantized), sized.sizes))

    def _kernels(self, kind: str, quantized: bool) -> Sequence[_Known]:
        """Returns the kernels of a kind or, where there are none, of the most similar kind; empty where none is."""
        while True:
            known = self._known.get((kind, quantized)) or self._known.get((kind, False))
            if known or kind not in _SIMILAR:
                return known or ()
            kind = _SIMILAR[kind]

    def _resembles(self, node: NodeCost) -> bool:
        sized = _sized_node(node)
        return sized is None or bool(self._kernels(sized.kind, node.quantized))

    def _residuals(self) -> list[float]:
        """Returns |log(predicted / measured)| of each kernel, predicted from the others of its kind."""
        return [
            abs(_interpolated([*known[:place], *known[place + 1 :]], each.sizes) - each.rate)
            for known in self._known.values()
            if len(known) > 1
            for place, each in enumerate(known)
        ]


def probed_speed(probe: Probe, engine: str, precision: Precision, threads: int | None = None) -> ProbedSpeed | str:
    """Returns the speed of a probed device, or a sentence that says why the probe does not tell it.

    Args:
        probe: the probe.
        engine: row of the engine table.
        precision: the variant's precision.
        threads: threads of the engine; None for the most that were probed.
    """
    found = {(each.precision, each.threads): each for each in probe.series if each.engine == engine}
    if not found:
        return f"the probe has no times of {engine}"
    chosen = threads or max(count for _, count in found)
    floats = found.get((float_format(precision), chosen))
    form = quantized_format(precision)
    quantized = None if form is None else found.get((form, chosen))
    if floats is None or (form is not None and quantized is None):
        return f"the probe has no times of {engine} {precision} with {chosen} threads"
    return ProbedSpeed(floats, quantized)


def kernel_speed(kernel: KernelTime) -> float:
    """Returns the operations per second of a kernel that multiplies matrices; 0 of another."""
    work = kernel_work(kernel)
    return work.operations / kernel.seconds if isinstance(work, ProductWork) else 0.0


def _sized_kernel(kernel: KernelTime) -> _Sized:
    """Returns a kernel's sizes and its work: operations of a product, values moved by anything else."""
    match kernel_work(kernel):
        case ProductWork(inner) as product:
            return _product(kernel.kind, inner, product)
        case OutputWork(inner, _, rows) as output:
            return _Sized(kernel.kind, (math.log2(inner), math.log2(rows)), output.values)
        case MovedWork(values):
            return _moved(kernel.kind, values)


def _sized_node(node: NodeCost) -> _Sized | None:
    if node.product is not None:
        return _product(_product_kind(node.op, node.product), _summed(node, node.product), node.product)
    if node.fused or (node.op in SUMS and node.parameters):  # a scale or bias is computed with the node before
        return None
    kind = _NORMS.get(node.op, "softmax" if node.op == "Softmax" else "pointwise")
    kind = "resize" if node.op in _RESAMPLED else "copy" if node.op in MOVES else kind
    return _moved(kind, node.read + node.written)


def _product_kind(op: str, product: Product) -> str:
    if op == "ConvTranspose":
        return "transposed conv"
    if op == "Conv":
        return "pointwise conv" if product.taps == 1 else "strided conv" if product.strided else "conv"
    return "matmul" if product.weighted else "attention"


def _summed(node: NodeCost, product: Product) -> float:
    """Returns how many values an output value is the sum of; a transposed kernel reaches only some of them each."""
    return node.operations / (2.0 * product.columns * product.rows)


def _product(kind: str, inner: float, product: Product | ProductWork) -> _Sized:
    columns, rows = product.columns, product.rows
    return _Sized(kind, (math.log2(inner), math.log2(columns), math.log2(rows)), 2.0 * inner * columns * rows)


def _moved(kind: str, values: int) -> _Sized:
    return _Sized(kind, (math.log2(max(1, values)),), float(values))


def _interpolated(known: Sequence[_Known], sizes: tuple[float, ...]) -> float:
    total = weight_sum = 0.0
    for each in known:
        weight = max(math.dist(each.sizes, sizes), _NEAR) ** -_POWER
        total += weight * each.rate
        weight_sum += weight
    return total / weight_sum


def _quantile(values: Iterable[float], share: float) -> float:
    """Returns the smallest value that a share of the values does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
