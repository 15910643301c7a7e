"""Activation checkpointing: saves memory by dropping activations and recomputing them in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Result = TypeVar("Result", Tensor, "tuple[Tensor, Tensor]")


def recomputed(step: Callable[[Tensor], Result], x: Tensor, *, enabled: bool = True) -> Result:
    """Returns ``step(x)``; if ``enabled``, autograd keeps only ``x`` and the backward pass runs ``step`` again.

    The gradient is the same to the last bit if the step is deterministic; the steps in this package use no random
    numbers. Without gradients, or if not ``enabled``, this is a plain call.
    """
    if not (enabled and torch.is_grad_enabled()):
        return step(x)
    return checkpoint(step, x, use_reentrant=False, preserve_rng_state=False)
