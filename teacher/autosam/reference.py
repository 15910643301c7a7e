"""The AutoSAM Adapter in one file: every step as the paper and SAM write it, nothing folded, fused or saved.

Read this first. The modules beside it compute the same with a fraction of the time and memory, and each says which
function here it equals; `tests/teacher/autosam` compares the logits and gradients of both. The functions
take the parameters of an `AutoSam` by name, so that both compute with the same tensors.

For one patch of 128³ voxels and SAM ViT-B, with tokens [B, d, h, w, C] and maps [B, C, d, h, w]:

    voxels [B, 1, 128³] -> embed -> tokens [B, 32³, 768] -> 12 blocks -> necks -> maps [B, 256, 32³] after 3, 6, 9, 12
    last map -> generate_prompt -> prompt [B, 256, 32³];  maps, prompt, image -> decode -> logits [B, classes, 128³]

Source: "Auto-Prompting SAM for Mobile Friendly 3D Medical Image Segmentation", section 3; `docs/teachers.md` says
where the paper's text and its authors' code differ, and which is followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ..depth_axes import DEPTH_AXES, EncoderTriple
from ..sam.sizes import find_sam_size
from .designs import find_design

if TYPE_CHECKING:
    from .config import AutoSamConfig
    from .network import AutoSam

WINDOW = 8
"""Tokens along each side of an attention window."""

Weights = Mapping[str, Tensor]


def plain_logits(model: AutoSam, x: Tensor) -> Tensor:
    """Returns logits ``[B, classes, D, H, W]`` of patches ``[B, 1, D, H, W]``, with the parameters of ``model``."""
    weights, config = dict(model.named_parameters()), model.config
    design = find_design(config.preset)
    maps = encode(weights, config, x)
    prompt = maps[design.prompt_stage]
    if config.apg:
        prompt = generate_prompt(select(weights, "prompt_generator"), prompt)
    heads = [maps[stage] for stage in design.head_stages] if config.mlam else []
    return decode(select(weights, "decoder"), [*heads, prompt], x)


def select(weights: Weights, prefix: str) -> dict[str, Tensor]:
    """Returns the parameters of one part of the network, named from there on."""
    return {name.removeprefix(f"{prefix}."): w for name, w in weights.items() if name.startswith(f"{prefix}.")}


# ---- encoder: SAM's image encoder in three dimensions (section 3.2)


def encode(weights: Weights, config: AutoSamConfig, x: Tensor) -> dict[int, Tensor]:
    """Returns stage → map ``[B, C, D/4, H/4, W/4]``; a stage ends after every quarter of the blocks."""
    size, encoder = find_sam_size(config.sam), select(weights, "encoder")
    axes = DEPTH_AXES[config.depth_axis]
    back = [2 + axes.index(axis) for axis in range(3)]
    tokens = embed(encoder, x.permute(0, 1, *(2 + axis for axis in axes)))
    tokens = tokens + position(encoder, tokens.shape[2], tokens.shape[3])
    maps: dict[int, Tensor] = {}
    for index in range(size.depth):
        tokens = block(
            select(encoder, f"blocks.{index}"),
            tokens,
            size.heads,
            shifted=index % 2 == 0,
            last_relu=find_design(config.preset).adapter_last_relu,
        )
        stage, rest = divmod(4 * (index + 1), size.depth)
        if rest == 0 and f"necks.{stage}.0.weight" in encoder:
            maps[stage] = neck(select(encoder, f"necks.{stage}"), tokens.permute(0, 4, 1, 2, 3)).permute(0, 1, *back)
    return maps


def embed(encoder: Weights, x: Tensor) -> Tensor:
    """Returns tokens ``[B, d, h, w, C]`` of voxels ``[B, 1, D, H, W]``.

    The patch is enlarged four times and repeated to three channels, every slice goes through SAM's 16×16 patch
    embedding (frozen), and a depth-wise convolution (trainable) gathers 16 slices.
    """
    large = F.interpolate(x, scale_factor=4, mode="trilinear", align_corners=False)
    batch, _, depth, height, width = large.shape
    slices = large[:, 0].reshape(batch * depth, 1, height, width).repeat(1, 3, 1, 1)
    planes = F.conv2d(slices, encoder["patch_embed.proj.weight"], encoder["patch_embed.proj.bias"], stride=16)
    columns = planes.unflatten(0, (batch, depth)).permute(0, 2, 1, 3, 4)  # [B, C, 4D, h, w]
    kernel = encoder["patch_embed.depth_convolution.weight"][..., None, None]
    bias = encoder["patch_embed.depth_convolution.bias"]
    tokens = F.conv3d(columns, kernel, bias, stride=(16, 1, 1), groups=kernel.shape[0])
    return tokens.permute(0, 2, 3, 4, 1)


def position(encoder: Weights, height: int, width: int) -> Tensor:
    """Returns the position of every token ``[1, d, h, w, C]``: SAM's plane table, averaged 2×2, plus the depth table.

    A plane of fewer than 32×32 tokens takes the middle of the table; a larger one interpolates it.
    """
    plane = encoder["pos_embed"][0].unflatten(0, (32, 2)).unflatten(2, (32, 2)).mean(dim=(1, 3))
    if max(height, width) > 32:
        size = (max(height, 32), max(width, 32))
        plane = F.interpolate(plane.permute(2, 0, 1)[None], size=size, mode="bilinear")[0].permute(1, 2, 0)
    top, left = (plane.shape[0] - height) // 2, (plane.shape[1] - width) // 2
    plane = plane[top : top + height, left : left + width]
    return plane[None, None] + encoder["depth_embed"][0][None, :, None, None]


def block(weights: Weights, x: Tensor, heads: int, *, shifted: bool, last_relu: bool) -> Tensor:
    """Returns tokens ``[B, d, h, w, C]`` after one block: adapter, window attention, MLP.

    The first residual is taken after the adapter. Shifted blocks roll the volume by half a window first, along every
    axis that has more than one window.
    """
    x = adapter(select(weights, "adapter"), x, last_relu=last_relu)
    tokens = (x.shape[1], x.shape[2], x.shape[3])
    d, h, w = (WINDOW // 2 if shifted and size > WINDOW else 0 for size in tokens)
    mask = shift_mask(tokens, (d, h, w), x.dtype, x.device) if d or h or w else None
    y = layer_norm(select(weights, "norm1"), x).roll((-d, -h, -w), (1, 2, 3))
    y = window_unpartition(attend(select(weights, "attn"), window_partition(y), heads, mask), x.shape)
    x = x + y.roll((d, h, w), (1, 2, 3))
    mlp = select(weights, "mlp")
    return x + linear(mlp, "lin2", F.gelu(linear(mlp, "lin1", layer_norm(select(weights, "norm2"), x))))


def adapter(weights: Weights, x: Tensor, *, last_relu: bool) -> Tensor:
    """Returns tokens ``[B, d, h, w, C]`` after the spatial adapter: C → C/2, depth-wise 3³, → C, added to the input."""
    hidden = F.relu(linear(weights, "down", x)).permute(0, 4, 1, 2, 3)
    kernel = weights["convolution.weight"]
    hidden = F.conv3d(hidden, kernel, weights["convolution.bias"], padding=1, groups=kernel.shape[0])
    change = linear(weights, "up", F.relu(hidden.permute(0, 2, 3, 4, 1)))
    return x + (F.relu(change) if last_relu else change)


def attend(weights: Weights, x: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    """Returns ``[N, 512, C]`` of windows ``[N, 512, C]``: multi-head attention with all 512×512 scores written out.

    The bias of a score is q·R_d + q·R_h + q·R_w, where each table is read at the offset between query and key along
    its axis.
    """
    n, length, width = x.shape
    qkv = linear(weights, "qkv", x).reshape(n, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.unbind(0)  # [N, heads, 512, c]
    scores = (q * (width // heads) ** -0.5) @ k.transpose(-1, -2)
    by_axis = q.view(n, heads, WINDOW, WINDOW, WINDOW, -1)
    along_d = torch.einsum("nexyzc,xkc->nexyzk", by_axis, relative_rows(weights["rel_pos_d"]))
    along_h = torch.einsum("nexyzc,ykc->nexyzk", by_axis, relative_rows(weights["rel_pos_h"]))
    along_w = torch.einsum("nexyzc,zkc->nexyzk", by_axis, relative_rows(weights["rel_pos_w"]))
    scores = scores.view(n, heads, *[WINDOW] * 6)
    scores = scores + along_d[..., :, None, None] + along_h[..., None, :, None] + along_w[..., None, None, :]
    scores = scores.view(n, heads, length, length)
    if mask is not None:
        scores = (scores.view(-1, len(mask), heads, length, length) + mask[:, None]).view(n, heads, length, length)
    return linear(weights, "proj", (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(n, length, width))


def relative_rows(table: Tensor) -> Tensor:
    """Returns ``[8, 8, c]``, the row of a relative table for each query and key, after resizing it to 15 offsets."""
    rows = F.interpolate(table.T[None], size=2 * WINDOW - 1, mode="linear")[0].T
    at = torch.arange(WINDOW, device=table.device)
    return rows[at[:, None] - at[None, :] + WINDOW - 1]


@lru_cache(maxsize=4)
def shift_mask(tokens: EncoderTriple, shift: EncoderTriple, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns ``[windows, 512, 512]``: −100, as in Swin, between tokens that only the roll brought together, else 0.

    Every token carries its coordinates through the roll. Two tokens of one window may see each other if they were in
    the same cell of the grid moved by half a window, whose outer cells end at the border of the volume.
    """
    at = torch.stack(torch.meshgrid(*(torch.arange(size) for size in tokens), indexing="ij"), dim=-1)
    cell = torch.div(at - torch.tensor(shift), WINDOW, rounding_mode="floor").roll([-s for s in shift], (0, 1, 2))
    cell = window_partition(cell[None])
    apart = (cell[:, :, None] != cell[:, None, :]).any(dim=-1)
    return torch.zeros(apart.shape, dtype=dtype).masked_fill(apart, -100.0).to(device)


def window_partition(x: Tensor) -> Tensor:
    """Returns windows ``[B·windows, 512, C]`` of tokens ``[B, d, h, w, C]``."""
    b, d, h, w, c = x.shape
    x = x.view(b, d // WINDOW, WINDOW, h // WINDOW, WINDOW, w // WINDOW, WINDOW, c)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, WINDOW**3, c)


def window_unpartition(x: Tensor, shape: torch.Size) -> Tensor:
    """Returns tokens of ``shape`` ``[B, d, h, w, C]`` from their windows; undoes `window_partition`."""
    b, d, h, w, c = shape
    x = x.view(b, d // WINDOW, h // WINDOW, w // WINDOW, WINDOW, WINDOW, WINDOW, c)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(shape)


def neck(weights: Weights, x: Tensor) -> Tensor:
    """Returns the map ``[B, 256, d, h, w]`` of tokens ``[B, C, d, h, w]``: SAM's neck with 3D convolutions."""
    x = channel_norm(select(weights, "1"), F.conv3d(x, weights["0.weight"]))
    return channel_norm(select(weights, "3"), F.conv3d(x, weights["2.weight"], padding=1))


# ---- auto prompt generator (section 3.3) and mask decoder (section 3.4)


def generate_prompt(weights: Weights, x: Tensor) -> Tensor:
    """Returns the prompt ``[B, C, d, h, w]`` of an encoder map of that shape: a five-level 3D U-Net.

    Pooling halves an axis as long as two tokens remain, so that instance norm has more than one voxel.
    """
    skips = [double_conv(select(weights, "down.0"), x)]
    for level in range(1, 5):
        stride = [2 if size >= 4 else 1 for size in skips[-1].shape[2:]]
        skips.append(double_conv(select(weights, f"down.{level}"), F.max_pool3d(skips[-1], stride)))
    x = skips.pop()
    for level in range(4):
        skip = skips.pop()
        x = F.interpolate(x, size=skip.shape[2:], mode="trilinear", align_corners=False)
        x = double_conv(select(weights, f"up.{level}"), torch.cat([x, skip], dim=1))
    return F.conv3d(x, weights["out.weight"], weights["out.bias"])


def decode(weights: Weights, maps: list[Tensor], image: Tensor) -> Tensor:
    """Returns logits ``[B, classes, D, H, W]`` of maps ``[B, C, D/4, H/4, W/4]`` and the image ``[B, 1, D, H, W]``.

    Each map has a head of its own and is enlarged twice; all of them and the halved image are fused at half resolution.
    """
    enlarged = [
        F.interpolate(double_conv(select(weights, f"heads.{index}"), features), scale_factor=2, mode="trilinear")
        for index, features in enumerate(maps)
    ]
    half = F.interpolate(image, scale_factor=0.5, mode="trilinear", align_corners=False)
    fused = conv_norm_relu(select(weights, "fuse"), torch.cat([*enlarged, half], dim=1))
    logits = F.conv3d(fused, weights["classify.weight"], padding=1)
    return F.interpolate(logits, scale_factor=2, mode="trilinear", align_corners=False)


# ---- layers


def double_conv(weights: Weights, x: Tensor) -> Tensor:
    """Returns ``[B, C', d, h, w]`` after two of `conv_norm_relu`."""
    return conv_norm_relu(select(weights, "1"), conv_norm_relu(select(weights, "0"), x))


def conv_norm_relu(weights: Weights, x: Tensor) -> Tensor:
    """Returns ``[B, C', d, h, w]``: convolution 3³ without bias, instance norm, ReLU."""
    return F.relu(F.instance_norm(F.conv3d(x, weights["0.weight"], padding=1)))


def channel_norm(weights: Weights, x: Tensor) -> Tensor:
    """Returns ``[B, C, d, h, w]`` normalised over C: SAM's ``LayerNorm2d``, one dimension up."""
    mean = x.mean(1, keepdim=True)
    variance = (x - mean).pow(2).mean(1, keepdim=True)
    x = (x - mean) / torch.sqrt(variance + 1e-6)
    return weights["weight"][:, None, None, None] * x + weights["bias"][:, None, None, None]


def layer_norm(weights: Weights, x: Tensor) -> Tensor:
    """Returns ``[..., C]`` normalised over C."""
    return F.layer_norm(x, x.shape[-1:], weights["weight"], weights["bias"], eps=1e-6)


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Returns ``[..., C']`` of ``[..., C]``: the linear layer ``name``."""
    return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
