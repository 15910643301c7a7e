"""SAM's attention over shifted cubic windows of 8×8×8 tokens, with a third relative-position table.

The decomposed relative-position bias is ``q·R_d + q·R_h + q·R_w``, each term depending on the query and on *one*
coordinate of the key. It is therefore itself a dot product: of the 3×8 terms of the query with the one-hot coordinates
of the key. Appending these 24 numbers to queries and keys lets a fused kernel do the whole attention without ever
holding a 512×512 bias. The mask of shifted windows separates by axis too, and is added to the same 24 numbers.

Equals `reference.attend` between `reference.window_partition` and `reference.window_unpartition`, with
`reference.shift_mask`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..depth_axes import EncoderTriple
from ..recompute import recomputed
from ..sam.modules import Attention, get_rel_pos

WINDOW = 8
"""Tokens along each side of an attention window."""

MASKED = -1.0e4
"""Added to the scores of masked keys: its exp() is 0 in every precision, and the sum of three fits into float16."""


def axis_shifts(tokens: EncoderTriple, *, shifted: bool) -> EncoderTriple:
    """Returns the cyclic shift along each axis, in tokens: half a window, or 0 where one window spans the axis.

    >>> axis_shifts((32, 16, 8), shifted=True)
    (4, 4, 0)
    """
    d, h, w = (WINDOW // 2 if shifted and size > WINDOW else 0 for size in tokens)
    return d, h, w


def axis_mask(tokens: int, shift: int) -> Tensor:
    """Returns the mask of one axis ``[windows, 8 queries, 8 keys]``: `MASKED` between tokens of opposite ends.

    After the cyclic shift only the last window of an axis holds tokens of both ends of the volume.
    """
    mask = torch.zeros(tokens // WINDOW, WINDOW, WINDOW)
    if shift:
        wrapped = torch.arange(WINDOW) >= WINDOW - shift
        mask[-1] = (wrapped[:, None] != wrapped[None, :]) * MASKED
    return mask


def key_coordinates() -> Tensor:
    """Returns the one-hot d, h and w of the 512 tokens of a window: ``[512, 24]``."""
    one_hot = torch.eye(WINDOW)
    shape = (WINDOW, WINDOW, WINDOW, WINDOW)
    d = one_hot[:, None, None, :].expand(shape)
    h = one_hot[None, :, None, :].expand(shape)
    w = one_hot[None, None, :, :].expand(shape)
    return torch.cat([d, h, w], dim=-1).reshape(WINDOW**3, 3 * WINDOW)


class CubicWindowAttention(Attention):
    """SAM's multi-head attention inside (shifted) cubic windows.

    ``qkv``, ``proj``, ``rel_pos_h`` and ``rel_pos_w`` are SAM's; ``rel_pos_d`` is new and starts as the mean of the two
    tables (see `reset_depth_table`). All three tables are interpolated to the 15 offsets of a window of 8.

    Args:
        width: token width.
        heads: number of heads.
        tokens: token counts, each a multiple of 8.
        shifted: whether windows are shifted by half their size.
        table_size: side length of the block's attention field in SAM, 14 or 64 tokens.
        recompute: whether to keep only queries, keys and values, and recompute the attention in the backward pass.
    """

    mask_d: Tensor
    mask_h: Tensor
    mask_w: Tensor
    key_coordinates: Tensor

    def __init__(
        self, width: int, heads: int, tokens: EncoderTriple, *, shifted: bool, table_size: int, recompute: bool = True
    ) -> None:
        super().__init__(width, num_heads=heads, use_rel_pos=True, input_size=(table_size, table_size))
        self.rel_pos_d = nn.Parameter(torch.zeros_like(self.rel_pos_h))
        self.recompute = recompute
        self.shifts = axis_shifts(tokens, shifted=shifted)
        for name, size, shift in zip("dhw", tokens, self.shifts, strict=True):
            self.register_buffer(f"mask_{name}", axis_mask(size, shift), persistent=False)
        self.register_buffer("key_coordinates", key_coordinates(), persistent=False)

    def reset_depth_table(self) -> None:
        """Sets the depth table to the mean of SAM's height and width tables; call it after these are loaded."""
        with torch.no_grad():
            self.rel_pos_d.copy_(0.5 * (self.rel_pos_h + self.rel_pos_w))

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[B, D, H, W, C]`` for tokens ``[B, D, H, W, C]``."""
        moved = any(self.shifts)
        if moved:
            x = torch.roll(x, shifts=[-shift for shift in self.shifts], dims=(1, 2, 3))
        x = self.proj(recomputed(self._attend, self.qkv(x), enabled=self.recompute))
        if moved:
            x = torch.roll(x, shifts=list(self.shifts), dims=(1, 2, 3))
        return x

    def _attend(self, qkv: Tensor) -> Tensor:
        """Returns ``[B, D, H, W, C]`` for queries, keys and values ``[B, D, H, W, 3·C]``."""
        batch, d, h, w, _ = qkv.shape
        windows = (d // WINDOW, h // WINDOW, w // WINDOW)
        by_window = (batch, windows[0], WINDOW, windows[1], WINDOW, windows[2], WINDOW)
        # [3, B, windows d, h, w, heads, 8, 8, 8, channels of a head]
        q, k, v = qkv.reshape(*by_window, 3, self.num_heads, -1).permute(7, 0, 1, 3, 5, 8, 2, 4, 6, 9).unbind(0)
        bias = torch.cat(self._axis_terms(q), dim=-1)
        q = torch.cat([q * self.scale, bias], dim=-1).flatten(6, 8).flatten(0, 4)
        k = k.reshape(-1, self.num_heads, WINDOW**3, k.shape[-1])
        v = v.reshape(k.shape)
        coordinates = self.key_coordinates.to(k.dtype).expand(*k.shape[:-1], -1)
        k = torch.cat([k, coordinates], dim=-1)
        # Fused kernels need values as wide as keys.
        out = F.scaled_dot_product_attention(q.reshape(k.shape), k, F.pad(v, (0, 3 * WINDOW)), scale=1.0)
        out = out[..., : v.shape[-1]].reshape(batch, *windows, self.num_heads, WINDOW, WINDOW, WINDOW, -1)
        return out.permute(0, 1, 5, 2, 6, 3, 7, 4, 8).reshape(batch, d, h, w, -1)

    def _axis_terms(self, q: Tensor) -> list[Tensor]:
        """Returns position terms plus shift mask, per axis ``[B, nd, nh, nw, heads, 8, 8, 8, 8 key coordinates]``."""
        tables = [get_rel_pos(WINDOW, WINDOW, table) for table in (self.rel_pos_d, self.rel_pos_h, self.rel_pos_w)]
        term_d = torch.einsum("bijkndhwc,dxc->bijkndhwx", q, tables[0])
        term_h = torch.einsum("bijkndhwc,hxc->bijkndhwx", q, tables[1])
        term_w = torch.einsum("bijkndhwc,wxc->bijkndhwx", q, tables[2])
        if self.shifts[0]:
            term_d = term_d + self.mask_d.to(q.dtype)[:, None, None, None, :, None, None, :]
        if self.shifts[1]:
            term_h = term_h + self.mask_h.to(q.dtype)[None, :, None, None, None, :, None, :]
        if self.shifts[2]:
            term_w = term_w + self.mask_w.to(q.dtype)[None, None, :, None, None, None, :, :]
        return [term_d, term_h, term_w]
