"""Shifted-window attention without masks: codes of each token's region in query and key have the mask's effect.

A Swin block that shifts its windows lets a token attend only to tokens of its own region, by adding a mask
[windows, N, N] to the attention's logits. At 96³ the first stage's mask has 40 million values; it keeps OpenVINO from
using its fused attention and takes seconds to compile. A window holds eight regions at most, two along each axis, so a
region is a code of three signs, and four channels in front of the query q and the key k replace the mask:

    q' = 8·(code, 1),  k' = 8·(code, -3):   q'·k' = 64·(code·code - 3) = 0 in the same region, ≤ -128 across regions

All of it is exact in float32, float16 and bfloat16. Softmax of 128 below is 0 in float32, as with the mask's -100.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import embedding

from ...runtime.axes import DHW
from ...runtime.errors import BundleError

_AXES = 3
_REGIONS = 2**_AXES
_SCALE = 8.0  # of the codes in q and in k: 64 per agreeing axis less 64 per differing one
_MASKED = -50.0  # a mask's values are 0 or at most this: MONAI's are -100


class _Recorder(torch.nn.Module):
    """Takes the place of an attention for one run: keeps what it was called with, and returns its input.

    Attributes:
        tokens: N, tokens of a window; 0 before the call.
        mask: [windows, N, N]; None without a shift.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tokens = 0
        self.mask: torch.Tensor | None = None

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Returns ``x``, [B·windows, N, C]."""
        self.tokens, self.mask = x.shape[1], mask
        return x


def replace_masks(model: torch.nn.Module, patch_dhw: DHW) -> None:
    """Replaces the attention of MONAI's Swin blocks, in place; a model without such blocks is not changed.

    The masks are recorded while the model runs on a patch of zeros, without its attention, most of the arithmetic:
    which blocks shift, and how, depends on the patch alone.

    Args:
        model: network in evaluation mode, on the CPU; afterwards it accepts only this patch, in any batch.
        patch_dhw: patch in voxels.

    Raises:
        BundleError: a mask does not separate regions, at most eight in a window.
    """
    from monai.networks.nets.swin_unetr import WindowAttention

    attentions = {name: module for name, module in model.named_modules() if isinstance(module, WindowAttention)}
    if not attentions:
        return
    recorders = {name: _Recorder() for name in attentions}
    for name, recorder in recorders.items():
        model.set_submodule(name, recorder)
    with torch.no_grad():
        model(torch.zeros(1, 1, *patch_dhw))
    for name, recorder in recorders.items():
        replacement: torch.nn.Module = attentions[name]
        if recorder.tokens:  # it was called
            regions = None if recorder.mask is None else region_numbers(recorder.mask)
            replacement = RegionAttention(attentions[name], recorder.tokens, regions)
        model.set_submodule(name, replacement)


def region_numbers(mask: torch.Tensor) -> torch.Tensor:
    """Returns the region of each token within its window.

    Args:
        mask: [windows, N, N]; 0 between tokens of the same region, -100 between others.

    Returns:
        [windows, N] int32, from 0, below 8; two tokens of a window have equal numbers exactly where the mask is 0.

    Raises:
        BundleError: the mask has other values or does not separate regions, or a window has more than eight regions.
    """
    together = mask == 0
    first = together.int().argmax(-1)  # the first token of each token's region
    firsts = torch.zeros_like(first).scatter_(1, first, 1)
    number = (firsts.cumsum(1) - 1).gather(1, first)
    regions = int(number.max()) + 1
    same = number[:, :, None] == number[:, None, :]
    if regions > _REGIONS or not torch.equal(same, together) or bool((mask[~together] > _MASKED).any()):
        raise BundleError(
            f"an attention mask has {regions} regions in a window, or values other than 0 and -100; expected at most "
            f"{_REGIONS} regions, as in MONAI's SwinUNETR"
        )
    return number.to(torch.int32)


def region_codes() -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the codes of the eight regions for query and key, [8, 4] each; their scalar products are the mask."""
    signs = 2.0 * ((torch.arange(_REGIONS)[:, None] >> torch.arange(_AXES)) & 1) - 1.0
    one = torch.ones(_REGIONS, 1)
    return _SCALE * torch.cat((signs, one), 1), _SCALE * torch.cat((signs, -_AXES * one), 1)


class RegionAttention(torch.nn.Module):
    """Computes the same as MONAI's `WindowAttention` in evaluation mode, masked by region codes.

    Args:
        attention: the `WindowAttention` whose weights are used.
        tokens: N, tokens of a window.
        regions: [windows, N] from `region_numbers`; None where windows are not shifted.
    """

    index: torch.Tensor
    regions: torch.Tensor | None
    query_codes: torch.Tensor
    key_codes: torch.Tensor

    def __init__(self, attention: Any, tokens: int, regions: torch.Tensor | None) -> None:
        super().__init__()
        self.attention = attention
        self.register_buffer("index", attention.relative_position_index[:tokens, :tokens].to(torch.int32))
        self.register_buffer("regions", regions)
        for name, codes in zip(("query_codes", "key_codes"), region_codes(), strict=True):
            self.register_buffer(name, codes)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Returns [B·windows, N, C] from [B·windows, N, C]; ignores the mask."""
        windows, tokens, channels = x.shape
        own = self.attention
        qkv = own.qkv(x).reshape(windows, tokens, 3, own.num_heads, channels // own.num_heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0] * own.scale, qkv[1], qkv[2]
        if self.regions is not None:
            query = _with(embedding(self.regions, self.query_codes), query)
            key = _with(embedding(self.regions, self.key_codes), key)
        bias = embedding(self.index, own.relative_position_bias_table).permute(2, 0, 1)
        weights = torch.softmax(query @ key.transpose(-2, -1) + bias, -1)
        return own.proj((weights @ value).transpose(1, 2).reshape(windows, tokens, channels))


def _with(codes: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Prepends codes [windows, N, 4] to vectors [B·windows, heads, N, d]: summed first, the codes stay exact."""
    windows, heads, tokens, _ = vectors.shape
    shape = (windows // len(codes), len(codes), heads, tokens, _AXES + 1)
    front = codes[None, :, None].expand(shape).reshape(windows, heads, tokens, _AXES + 1)
    return torch.cat((front, vectors), -1)
