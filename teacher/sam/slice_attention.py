"""SAM's attention within a slice, in windows or over all of it, through a fused kernel.

As in the attention of the AutoSAM Adapter, the bias ``q·R_h + q·R_w`` of a score is a dot product of terms of the
query with the one-hot row and column of the key, and so becomes part of a fused kernel: no score matrix is held. SAM
pads slices with zeros to whole windows and lets tokens attend to the padding; queries, keys and values of a zero token
are the bias of ``qkv``, so that only real tokens are projected.

Equals segment-anything's ``Attention`` between its ``window_partition`` and ``window_unpartition``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from segment_anything.modeling.image_encoder import window_partition, window_unpartition
from torch import Tensor

from .modules import Attention, get_rel_pos


class SliceAttention(Attention):
    """SAM's multi-head attention of a slice.

    Parameters have SAM's names; tables are interpolated to the field, as SAM's ``get_rel_pos`` does.

    Args:
        width: token width C.
        heads: number of heads.
        table: rows and columns that SAM's relative tables are made for, in tokens.
        window: side of a window in tokens; 0: the tokens of a slice attend to all others.
    """

    def __init__(self, width: int, heads: int, *, table: int, window: int) -> None:
        super().__init__(width, num_heads=heads, use_rel_pos=True, input_size=(table, table))
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[N, h, w, C]`` for tokens ``[N, h, w, C]`` of N slices."""
        return self.proj(self.mixed(x))

    def mixed(self, x: Tensor) -> Tensor:
        """Returns the tokens before the last projection, ``[N, h, w, C]``."""
        return self._attend(self.qkv(x))

    def _attend(self, qkv: Tensor) -> Tensor:
        """Returns ``[N, h, w, C]`` for queries, keys and values ``[N, h, w, 3·C]``."""
        h, w = qkv.shape[1:3]
        if not self.window:
            return self._fused(qkv)
        padded = bool(h % self.window or w % self.window)
        bias = self.qkv.bias
        windows, size = window_partition(qkv - bias if padded else qkv, self.window)
        out = self._fused(windows + bias if padded else windows)
        return window_unpartition(out, self.window, size, (h, w))

    def _fused(self, qkv: Tensor) -> Tensor:
        count, h, w, _ = qkv.shape
        heads = (count, h, w, 3, self.num_heads, -1)
        query, key, value = qkv.reshape(heads).permute(3, 0, 4, 1, 2, 5).unbind(0)  # [N, heads, h, w, c]
        rows = torch.einsum("nahwc,hkc->nahwk", query, get_rel_pos(h, h, self.rel_pos_h))
        columns = torch.einsum("nahwc,wkc->nahwk", query, get_rel_pos(w, w, self.rel_pos_w))
        query = torch.cat([query * self.scale, rows, columns], dim=-1).flatten(2, 3)
        key = torch.cat([key, _coordinates(h, w, key).expand(*key.shape[:-1], -1)], dim=-1).flatten(2, 3)
        # Fused kernels need values as wide as keys.
        wide = F.pad(value, (0, h + w)).flatten(2, 3)
        out = F.scaled_dot_product_attention(query, key, wide, scale=1.0)[..., : value.shape[-1]]
        return out.transpose(1, 2).reshape(count, h, w, -1)


def _coordinates(h: int, w: int, like: Tensor) -> Tensor:
    """Returns the one-hot row and column of every token, ``[h, w, h + w]``."""
    rows = torch.eye(h, dtype=like.dtype, device=like.device)[:, None].expand(h, w, h)
    columns = torch.eye(w, dtype=like.dtype, device=like.device)[None].expand(h, w, w)
    return torch.cat([rows, columns], dim=-1)
