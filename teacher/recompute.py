"""Memory for work: what a step computed is dropped after the forward pass and computed again for its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Result = TypeVar("Result", Tensor, "tuple[Tensor, Tensor]")


def recomputed(step: Callable[[Tensor], Result], x: Tensor, *, enabled: bool = True) -> Result:
    """Returns ``step(x)``, keeping nothing but ``x`` for the gradient if ``enabled``.

    The gradient is the same to the last bit wherever the step computes the same twice; ours hold nothing random.
    Without gradients, or where disabled, it is a plain call.
    """
    if not (enabled and torch.is_grad_enabled()):
        return step(x)
    return checkpoint(step, x, use_reentrant=False, preserve_rng_state=False)
