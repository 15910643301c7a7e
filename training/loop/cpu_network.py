"""What training does to a network on a CPU before its first step."""

from __future__ import annotations

from torch import nn

from .memory_layout import use_channels_last
from .small_convolutions import keep_small_in_float32


def adapt_to_cpu(model: nn.Module) -> None:
    """Gives a network on a CPU the layout and the number formats that it trains in, in place.

    See `use_channels_last` and `keep_small_in_float32`: names, shapes and values of the weights stay the same.

    Args:
        model: network on a CPU; its weights are whole, not sharded.
    """
    use_channels_last(model)
    keep_small_in_float32(model)
