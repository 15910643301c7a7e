"""Compares gradients in bfloat16 with those in float32 on the processor that is to train in bfloat16."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from ...runtime.errors import UsageError
from .process_group import AgreedOutcome, ProcessGroup

LEAST_COSINE = 0.9
"""Least cosine of the angle between the two gradients.

A step along a gradient with this cosine lowers the loss by nine tenths, to first order, of what a step of the same
length along the float32 gradient does. Rounding alone costs far less: unet-nano's first gradient had 0.99998.
"""
LARGEST_NORM_RATIO = 1.25
"""Largest ratio between the norms of the two gradients, whichever is larger. Noise at a right angle to the gradient
that leaves a cosine of 0.9 makes it 1.11 times as long; more is a wrong scale, not rounding."""

_log = logging.getLogger("bedside.training")


class UnsoundPrecisionError(UsageError, AgreedOutcome):
    """A processor computes wrong gradients in bfloat16."""


@dataclass(frozen=True)
class PrecisionComparison:
    """The gradient of one batch in bfloat16, beside that in float32.

    Attributes:
        cosine: cosine of the angle between the two gradients; NaN if one is not finite.
        norm_ratio: norm of the bfloat16 gradient divided by that of the float32 gradient.
        time_ratio: seconds of forward and backward pass in bfloat16, divided by those in float32.
    """

    cosine: float
    norm_ratio: float
    time_ratio: float

    @property
    def sound(self) -> bool:
        """Whether bfloat16 gives the gradient of float32, up to rounding."""
        return self.cosine >= LEAST_COSINE and 1 / LARGEST_NORM_RATIO <= self.norm_ratio <= LARGEST_NORM_RATIO

    def __str__(self) -> str:
        return f"gradient with {self.norm_ratio:.3g} times the norm of float32's, cosine {self.cosine:.4f}"


def check_precision(
    model: torch.nn.Module,
    loss: Callable[[], torch.Tensor],
    autocast: Callable[[], AbstractContextManager[object]],
    group: ProcessGroup,
) -> None:
    """Compares one batch's gradients in both precisions on every process, and logs the outcome.

    Some processors have bfloat16 instructions and train faster with them; on others torch emulates them, many times
    slower, and gradients of 1e32 have been seen. Weights, buffers and random state are left as they were.

    Args:
        model: the network, whose weights are whole.
        loss: computes the loss of the batch; called twice.
        autocast: context in which ``loss`` computes in bfloat16.
        group: process group; all its processes call this together.

    Raises:
        UnsoundPrecisionError: the gradients of a process differ by more than rounding.
    """
    measured = np.zeros((group.size, 3))
    one = compare_precisions(model, loss, autocast)
    measured[group.rank] = one.cosine, one.norm_ratio, one.time_ratio
    rows = [PrecisionComparison(*map(float, row)) for row in group.total(measured)]
    for row in rows:
        if not row.sound:
            raise UnsoundPrecisionError(
                f"precision bf16-mixed does not work on this processor: {row}, expected a ratio of "
                f"{1 / LARGEST_NORM_RATIO:g}…{LARGEST_NORM_RATIO:g} and a cosine of {LEAST_COSINE:g} or more; "
                "give --precision 32-true"
            )
    slowest = max(rows, key=lambda row: row.time_ratio)
    if not group.first:
        return
    if slowest.time_ratio > 1:
        _log.warning(
            "bf16-mixed is slower on this processor: a pass needs %.1f times the time of 32-true (%s); "
            "start again with --precision 32-true",
            slowest.time_ratio,
            slowest,
        )
    else:
        _log.info("bf16-mixed: a pass needs %.2f times the time of 32-true (%s)", slowest.time_ratio, slowest)


def compare_precisions(
    model: torch.nn.Module,
    loss: Callable[[], torch.Tensor],
    autocast: Callable[[], AbstractContextManager[object]],
) -> PrecisionComparison:
    """Computes the gradient of a loss twice; arguments are those of `check_precision`."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    random_state = torch.get_rng_state()

    def gradients(context: AbstractContextManager[object]) -> tuple[list[torch.Tensor], float]:
        begun = time.perf_counter()
        with context:
            value = loss()
        # Not `backward`, which would average gradients over the processes and keep them for the optimiser.
        found = torch.autograd.grad(value, parameters, materialize_grads=True, allow_unused=True)
        seconds = time.perf_counter() - begun
        torch.set_rng_state(random_state)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        return [gradient.double() for gradient in found], seconds  # squares of 1e32 are infinite in float32

    full, full_seconds = gradients(nullcontext())
    low, low_seconds = gradients(autocast())
    full_norm, low_norm = _norm(full), _norm(low)
    product = sum(float((one * two).sum()) for one, two in zip(full, low, strict=True))
    norms = full_norm * low_norm
    # Both are zero where nothing can be learnt, such as a batch in which every voxel is ignored.
    cosine = product / norms if norms else float(full_norm == low_norm)
    return PrecisionComparison(cosine, low_norm / full_norm if full_norm else 1.0, low_seconds / full_seconds)


def _norm(tensors: list[torch.Tensor]) -> float:
    return math.sqrt(sum(float(tensor.square().sum()) for tensor in tensors))
