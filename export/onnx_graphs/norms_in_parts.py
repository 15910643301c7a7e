"""Computes the instance normalisation of a large volume from sums in parts: what torch computes, up to rounding.

Engines add up the squares of a channel one voxel after the other, in float32. Where most of a patch is padding or air,
most of these squares are equal, each addition to the large sum is rounded in the same direction, and the variance is
wrong by a share that grows with the volume. Measured on one thread with a block of noise in a constant volume, in
shares of the largest value: OpenVINO 2026.4 is wrong by 4e-4 at 32³, 3e-3 at 64³ and 9e-3 at 96³, ONNX Runtime by
7e-5, 4e-4 and 1.3e-3, torch by less than 2e-7. To shift the channels to mean 0, by the biases of the convolutions
before, does not help (3.7e-3 of a logit before and after): the differences from the mean stay equal to each other.

Here the sums run along one axis after the other, so that none has more terms than an edge of the volume (pairwise
summation's idea: N. J. Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 14, 1993):

    mean = Σ_D Σ_H Σ_W x / n        variance = Σ_D Σ_H Σ_W (x − mean)² / n

Sums and means alternate and the sum of squares along a line is the square of its length, because OpenVINO joins equal
reductions into one, and would make a normalisation of the usual pattern again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .onnx_helpers import fixed_shapes

if TYPE_CHECKING:
    import onnx

_LEAST_VOXELS = 16**3  # of a channel; a smaller one's sums are exact to some 1e-6


def norms_in_parts(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a model whose instance normalisations of 4,096 voxels or more sum in parts.

    Group normalisation, which torch exports as instance normalisation [B, G, n] of its groups, is one of them.

    Args:
        model: float32 ONNX with fixed channels and volumes; not modified. Normalisations with a scale or bias that is
            not constant stay.

    Returns:
        A model that computes the same up to rounding, up to 3 kB larger for each of these normalisations; ``model``
        itself where there is nothing to change.
    """
    import onnx

    shapes = fixed_shapes(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    tensors: dict[str, onnx.TensorProto] = {}
    for node in model.graph.node:
        fixed = shapes.get(node.input[0], [])[1:] if node.op_type == "InstanceNormalization" else []
        if not all(fixed) or math.prod(fixed[1:]) < _LEAST_VOXELS or not constants.keys() >= {*node.input[1:]}:
            nodes.append(node)
            continue
        parts = _Parts(node, [constants[name] for name in node.input[1:]], fixed)
        nodes += parts.nodes
        tensors |= {tensor.name: tensor for tensor in parts.tensors}
    if not tensors:
        return model
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    changed.graph.initializer.extend(tensors.values())
    used = {name for node in nodes for name in node.input}
    for tensor in [tensor for tensor in changed.graph.initializer if tensor.name not in used]:
        changed.graph.initializer.remove(tensor)
    return changed


class _Parts:
    """The nodes and constants in place of one InstanceNormalization.

    Args:
        node: the node.
        affine: its scale and bias, [C] each.
        fixed: [C, …], the shape of its input without the batch.
    """

    def __init__(self, node: onnx.NodeProto, affine: Sequence[onnx.TensorProto], fixed: Sequence[int]) -> None:
        from onnx import numpy_helper

        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._name, result = node.name, node.output[0]
        channels, *volume = fixed
        data, edges = node.input[0], volume
        if len(volume) == 1:
            edges = volume_edges(volume[0])
            data = self._add("Reshape", data, self._constant(f"{result}.volume", np.array([0, channels, *edges])))
        self._axes = [
            self._constant(f"norm.axis{axis}", np.array([axis])) for axis in reversed(range(2, 2 + len(edges)))
        ]
        # The means divide by every second edge, the last but one and so on; what remains of 1/n is multiplied.
        rest = np.float32(1 / math.prod(edges[::-1][::2]))
        self._rest = self._constant(f"norm.over{math.prod(edges[::-1][::2])}", rest)
        epsilon = next((each.f for each in node.attribute if each.name == "epsilon"), 1e-5)
        column = [1, channels, *(1 for _ in edges)]
        scale, bias = (
            self._constant(f"{tensor.name}.column{len(edges)}", numpy_helper.to_array(tensor).reshape(column))
            for tensor in affine
        )
        centred = self._add("Sub", data, self._mean(self._add("ReduceSum", data, self._axes[0])))
        length = self._add("ReduceL2", centred, self._axes[0])
        variance = self._mean(self._add("Mul", length, length))
        padded = self._add("Add", variance, self._constant(f"norm.epsilon{epsilon}", np.float32(epsilon)))
        factor = self._add("Div", scale, self._add("Sqrt", padded))
        normal = self._add("Add", self._add("Mul", centred, factor), bias)
        if len(volume) == 1:
            normal = self._add("Reshape", normal, self._constant(f"{result}.flat", np.array([0, channels, *volume])))
        self.nodes[-1].output[0] = result

    def _mean(self, lines: str) -> str:
        """Returns the mean from the sums along the last axis."""
        for position, axis in enumerate(self._axes[1:], start=1):
            lines = self._add("ReduceMean" if position % 2 else "ReduceSum", lines, axis)
        return self._add("Mul", lines, self._rest)

    def _add(self, operator: str, *inputs: str) -> str:
        from onnx import helper

        name = f"{self._name}.{len(self.nodes)}.{operator}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name))
        return name

    def _constant(self, name: str, value: np.ndarray | np.float32) -> str:
        from onnx import numpy_helper

        self.tensors.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def volume_edges(voxels: int) -> list[int]:
    """Returns three factors of a number of voxels, the smallest first, about as close to each other as they can be."""
    first = next(edge for edge in range(round(voxels ** (1 / 3)), 0, -1) if voxels % edge == 0)
    rest = voxels // first
    second = next(edge for edge in range(math.isqrt(rest), 0, -1) if rest % edge == 0)
    return [first, second, rest // second]
