"""The attention of SAM's two-way transformer through a fused kernel, which holds no scores."""

from __future__ import annotations

import torch.nn.functional as F
from segment_anything.modeling.transformer import Attention
from torch import Tensor, nn


class FusedAttention(Attention):
    """SAM's multi-head attention of tokens and image; parameters and values are SAM's."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Returns ``[N, queries, C]`` for queries ``[N, queries, C]``, keys and values ``[N, keys, C]``."""
        projected = ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v))
        query, key, value = (self._separate_heads(layer(x), self.num_heads) for layer, x in projected)
        return self.out_proj(self._recombine_heads(F.scaled_dot_product_attention(query, key, value)))


def fuse_attention(module: nn.Module) -> None:
    """Replaces every attention of SAM's two-way transformer inside a module by a new `FusedAttention`."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is Attention:
                rate = child.embedding_dim // child.internal_dim
                setattr(parent, name, FusedAttention(child.embedding_dim, child.num_heads, rate))
