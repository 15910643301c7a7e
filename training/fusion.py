"""Networks that train with more layers than they are deployed with: blocks that fuse into fewer layers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import nn


@runtime_checkable
class Fusable(Protocol):
    """A module with a form of fewer layers for deployment."""

    def fused(self) -> nn.Module:
        """Returns a module that computes the same in evaluation mode, with weights of its own."""
        ...


def fused_copy(network: nn.Module) -> nn.Module:
    """Returns a copy of a network in which every fusable block is replaced by its fused form.

    In evaluation mode the copy computes the same, up to rounding; it cannot be trained any further.

    Args:
        network: any network; one without fusable blocks is copied as it is.
    """
    network = copy.deepcopy(network).eval()
    if isinstance(network, Fusable):
        return network.fused().eval()
    blocks = [(name, module) for name, module in network.named_modules() if isinstance(module, Fusable)]
    for name, block in blocks:
        network.set_submodule(name, block.fused().eval())
    return network
