"""A step of SAM as its authors compute it, for the plain networks that the others are compared with."""

from __future__ import annotations

from segment_anything.modeling.image_encoder import Attention, window_partition, window_unpartition
from torch import Tensor

from .slice_encoder import SliceBlock


def plain_attention(block: SliceBlock, x: Tensor) -> Tensor:
    """Returns what attention adds to the tokens ``[N, h, w, C]`` of a block: SAM's own, which holds all scores."""
    attention, size = block.attn, (x.shape[1], x.shape[2])
    tokens = block.norm1(x)
    if not attention.window:
        return Attention.forward(attention, tokens)
    windows, padded = window_partition(tokens, attention.window)
    return window_unpartition(Attention.forward(attention, windows), attention.window, padded, size)
