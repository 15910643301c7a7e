"""Local sharing between slices: each token attends to its own place in three slices, then to its own slice.

Source: 3D-SAutoMed, section 2.2, equations 1 and 2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..recompute import recomputed
from ..sam.modules import MLPBlock

HEADS = 8
_NEARLY_NOTHING = 1e-3


class _SliceSharingAttention(nn.Module):
    """Multi-head attention whose projection starts beside zero, so that its residual sum starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        _start_beside_zero(self.proj)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns queries, keys and values ``[B, D, L, heads, c]`` of tokens ``[B, D, L, C]``."""
        query, key, value = self.qkv(x).reshape(*x.shape[:3], 3, HEADS, -1).unbind(3)
        return query, key, value


class InterSliceAttention(_SliceSharingAttention):
    """Attention of each token of a slice to the tokens at the same place in the slice before, itself and the one after.

    The first and the last slice stand in for the neighbour that they lack. Keys and values are projected once per
    slice, not once for each of the three slices that read them.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[B, D, L, C]`` for tokens ``[B, D, L, C]`` of D slices of L tokens."""
        query, key, value = self.split(x)
        query = query * query.shape[-1] ** -0.5
        scores = torch.stack([(query * near).sum(dim=-1) for near in _neighbours(key)])
        weights = scores.softmax(dim=0)[..., None]
        near = _neighbours(value)
        out = weights[0] * near[0] + weights[1] * near[1] + weights[2] * near[2]
        return self.proj(out.flatten(3))


def _neighbours(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the slices before, the slices themselves and the slices after, each ``[B, D, …]``."""
    return torch.cat([x[:, :1], x[:, :-1]], dim=1), x, torch.cat([x[:, 1:], x[:, -1:]], dim=1)


class IntraSliceAttention(_SliceSharingAttention):
    """Attention of each token to all tokens of its slice."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[B, D, L, C]`` for tokens ``[B, D, L, C]`` of D slices of L tokens."""
        query, key, value = (part.flatten(0, 1).transpose(1, 2) for part in self.split(x))
        out = F.scaled_dot_product_attention(query, key, value)  # [B·D, heads, L, c]
        return self.proj(out.transpose(1, 2).reshape(x.shape))


class SliceSharing(nn.Module):
    """Inter-slice attention, intra-slice attention and an MLP, each with a residual sum.

    As in SAM's blocks, a layer norm precedes each; the paper's equations leave norms out.

    Args:
        width: channels C of the image encoder's maps.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.inter = InterSliceAttention(width)
        self.intra = IntraSliceAttention(width)
        self.mlp = MLPBlock(width, 4 * width)
        _start_beside_zero(self.mlp.lin2)

    def forward(self, x: Tensor) -> Tensor:
        """Returns maps ``[B, D, C, h, w]`` for maps ``[B, D, C, h, w]``."""
        tokens = x.flatten(3).transpose(2, 3)
        tokens = tokens + recomputed(lambda part: self.inter(self.norm1(part)), tokens)
        tokens = tokens + recomputed(lambda part: self.intra(self.norm2(part)), tokens)
        tokens = tokens + recomputed(lambda part: self.mlp(self.norm3(part)), tokens)
        return tokens.transpose(2, 3).reshape(x.shape)


def _start_beside_zero(layer: nn.Linear) -> None:
    nn.init.normal_(layer.weight, std=_NEARLY_NOTHING)
    nn.init.zeros_(layer.bias)
