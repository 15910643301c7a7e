"""Predicts what a student costs when it is deployed: parameters, floating-point operations, memory of activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch._subclasses import fake_tensor

from ...runtime.axes import DHW
from ...runtime.errors import UsageError
from ...teacher.simulated_step import LiveMemory, flop_counter, parameters_on_meta
from ...training.fusion import fused_copy

_NEEDS_VALUES = (
    fake_tensor.DataDependentOutputException,
    fake_tensor.DynamicOutputShapeException,
    fake_tensor.UnsupportedFakeTensorException,
    fake_tensor.UnsupportedOperatorException,
)
"""What torch raises where an operation needs the values of a tensor, not only its shape."""


class UnpredictableCostError(UsageError):
    """The cost of a network cannot be predicted, because its operations depend on the values of a window."""


@dataclass(frozen=True)
class InferenceCost:
    """What one window costs a student.

    Attributes:
        parameters: number of parameters, as it trains.
        flops: floating-point operations of a forward pass of the fused network (a multiplication and an addition are
            two); convolutions and matrix products alone count, as in most papers.
        activation_bytes: the most bytes of float32 tensors alive at once in that forward pass, image and logits
            included, weights not; torch's order of operations, without the workspace inside them. An engine that
            computes activations in place needs less.
    """

    parameters: int
    flops: int
    activation_bytes: int


def inference_cost(build: Callable[[int], nn.Module], num_classes: int, patch: DHW) -> InferenceCost:
    """Predicts the cost of one window. Computes nothing, and allocates no tensors of the network's size.

    Args:
        build: returns the network for a number of classes.
        num_classes: output channels, background included.
        patch: the window, in voxels.

    Raises:
        UnpredictableCostError: the network does not run on tensors without values.
    """
    with parameters_on_meta():
        model = build(num_classes)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    deployed = fused_copy(model.to("meta"))
    try:
        with fake_tensor.FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad(), LiveMemory() as live:
            deployed = deployed.to_empty(device="cpu")
            weights = live.held
            with flop_counter() as counter:
                deployed(torch.empty(1, 1, *patch))
    except _NEEDS_VALUES as error:
        raise UnpredictableCostError(
            f"cost: expected a network whose operations follow from the shape of a window, got one that needs its "
            f"values ({error}); measure it with bedside benchmark"
        ) from None
    return InferenceCost(parameters, counter.get_total_flops(), live.peak - weights)
