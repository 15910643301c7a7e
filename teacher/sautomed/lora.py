"""Low-rank adaptation of SAM's attention: a trainable change of queries and values beside frozen weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..sam.sizes import SamSize
from ..sam.slice_encoder import SliceBlock

RANK = 4
_NEARLY_NOTHING = 1e-3


class LoraQkv(nn.Linear):
    """SAM's ``attn.qkv`` with a low-rank change of queries and values: ``W x + b + [B_q A_q x, 0, B_v A_v x]``.

    Weight and bias have SAM's names and shapes. ``B`` starts at a standard deviation of 1e-3 in place of LoRA's zeros:
    the layer starts as SAM's, and yet both factors receive a gradient from the first step on.

    Source: 3D-SAutoMed, section 2.1; Hu et al., arXiv:2106.09685; rank and places as in SAMed, arXiv:2304.13785.

    Args:
        width: token width C.
        rank: columns of ``A`` and ``B``.
    """

    def __init__(self, width: int, rank: int = RANK) -> None:
        super().__init__(width, 3 * width)
        self.down_q, self.down_v = (nn.Linear(width, rank, bias=False) for _ in range(2))
        self.up_q, self.up_v = (nn.Linear(rank, width, bias=False) for _ in range(2))
        for up in (self.up_q, self.up_v):
            nn.init.normal_(up.weight, std=_NEARLY_NOTHING)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name nn.Linear gave it
        """Returns queries, keys and values ``[..., 3·C]`` of tokens ``[..., C]``."""
        query, key, value = super().forward(input).split(self.in_features, dim=-1)
        return torch.cat([query + self.up_q(self.down_q(input)), key, value + self.up_v(self.down_v(input))], dim=-1)


class LoraBlock(SliceBlock):
    """A block of SAM's image encoder whose attention has LoRA.

    Args:
        size: size of the encoder.
        index: number of the block, from 0.
    """

    def __init__(self, size: SamSize, index: int) -> None:
        super().__init__(size, index)
        self.attn.qkv = LoraQkv(size.width)
