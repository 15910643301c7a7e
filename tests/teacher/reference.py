"""The AutoSAM Adapter a second time, plainly: every step as the paper and SAM write it, nothing folded, fused or saved.

The patch is enlarged four times and repeated to three channels; every slice goes through SAM's 2D patch embedding;
attention holds all 512×512 scores of a window, three relative-position terms and a mask of that size. It reads the
parameters of a `bedside.teacher` network by their names, so that both compute with the same weights, and gradients
arrive in the same tensors. Slow and large on purpose: what the network is tested and measured against.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
import torch.nn.functional as F
from bedside.teacher.autosam import AutoSam, AutoSamConfig
from bedside.teacher.presets import find_preset
from bedside.teacher.variants import find_variant
from torch import Tensor

WINDOW = 8
CELL = WINDOW**3

Weights = Mapping[str, Tensor]


def reference_logits(model: AutoSam, x: Tensor) -> Tensor:
    """Logits ``[B, classes, D, H, W]`` of patches ``[B, 1, D, H, W]``, with the parameters of ``model``."""
    weights, config = dict(model.named_parameters()), model.config
    preset = find_preset(config.preset)
    maps = encode(weights, config, x)
    prompt = maps[preset.prompt_stage]
    if config.apg:
        prompt = generate_prompt(part(weights, "prompt_generator"), prompt)
    heads = [maps[stage] for stage in preset.head_stages] if config.mlam else []
    return decode(part(weights, "decoder"), [*heads, prompt], x)


def part(weights: Weights, prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): w for name, w in weights.items() if name.startswith(f"{prefix}.")}


# ---- encoder


def encode(weights: Weights, config: AutoSamConfig, x: Tensor) -> dict[int, Tensor]:
    variant, encoder = find_variant(config.sam), part(weights, "encoder")
    order = {"z": (2, 3, 4), "y": (3, 2, 4), "x": (4, 2, 3)}[config.depth_axis]
    back = tuple(order.index(axis) for axis in (2, 3, 4))
    tokens = embed(encoder, x.permute(0, 1, *order))
    tokens = tokens + position(encoder, tokens.shape[2], tokens.shape[3])
    maps = {}
    for index in range(variant.depth):
        tokens = block(part(encoder, f"blocks.{index}"), tokens, variant.heads, config.preset, shifted=index % 2 == 0)
        if (index + 1) % (variant.depth // 4) == 0:
            stage = 4 * (index + 1) // variant.depth
            if f"necks.{stage}.0.weight" in encoder:
                features = neck(part(encoder, f"necks.{stage}"), tokens.permute(0, 4, 1, 2, 3))
                maps[stage] = features.permute(0, 1, *(2 + axis for axis in back))
    return maps


def embed(encoder: Weights, x: Tensor) -> Tensor:
    """Tokens ``[B, d, h, w, C]``: ×4 enlarged, three channels, 16×16 patch embedding by slice, depth convolution."""
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
    plane = encoder["pos_embed"][0].unflatten(0, (32, 2)).unflatten(2, (32, 2)).mean(dim=(1, 3))
    if max(height, width) > 32:
        size = (max(height, 32), max(width, 32))
        plane = F.interpolate(plane.permute(2, 0, 1)[None], size=size, mode="bilinear")[0].permute(1, 2, 0)
    top, left = (plane.shape[0] - height) // 2, (plane.shape[1] - width) // 2
    plane = plane[top : top + height, left : left + width]
    return plane[None, None] + encoder["depth_embed"][0][None, :, None, None]


def block(weights: Weights, x: Tensor, heads: int, preset: str, *, shifted: bool) -> Tensor:
    x = adapter(part(weights, "adapter"), x, last_relu=preset == "released_code")
    tokens = tuple(x.shape[1:4])
    shift = tuple(WINDOW // 2 if shifted and size > WINDOW else 0 for size in tokens)
    y = norm(part(weights, "norm1"), x).roll([-s for s in shift], (1, 2, 3))
    mask = window_mask(tokens, shift, x.dtype, x.device) if any(shift) else None
    y = windows_to_volume(attend(part(weights, "attn"), volume_to_windows(y), heads, mask), x.shape)
    x = x + y.roll(shift, (1, 2, 3))
    mlp = part(weights, "mlp")
    hidden = F.gelu(linear(mlp, "lin1", norm(part(weights, "norm2"), x)))
    return x + linear(mlp, "lin2", hidden)


def adapter(weights: Weights, x: Tensor, *, last_relu: bool) -> Tensor:
    hidden = F.relu(linear(weights, "down", x)).permute(0, 4, 1, 2, 3)
    kernel = weights["convolution.weight"]
    hidden = F.conv3d(hidden, kernel, weights["convolution.bias"], padding=1, groups=kernel.shape[0])
    change = linear(weights, "up", F.relu(hidden.permute(0, 2, 3, 4, 1)))
    return x + (F.relu(change) if last_relu else change)


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def norm(weights: Weights, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weights["weight"], weights["bias"], eps=1e-6)


def volume_to_windows(x: Tensor) -> Tensor:
    """``[B, d, h, w, C]`` → ``[B·windows, 512, C]``."""
    b, d, h, w, c = x.shape
    x = x.view(b, d // WINDOW, WINDOW, h // WINDOW, WINDOW, w // WINDOW, WINDOW, c)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, CELL, c)


def windows_to_volume(x: Tensor, shape: torch.Size) -> Tensor:
    b, d, h, w, c = shape
    x = x.view(b, d // WINDOW, h // WINDOW, w // WINDOW, WINDOW, WINDOW, WINDOW, c)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(shape)


@lru_cache(maxsize=4)
def window_mask(tokens: tuple[int, ...], shift: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Brute force, ``[windows, 512, 512]``: −100, as in Swin, between tokens that only the roll brought together.

    Every token carries its own coordinates along through the roll. Two of one window may see each other if they lay in
    the same cell of the grid moved by half a window, whose outer cells end at the border of the volume.
    """
    at = torch.stack(torch.meshgrid(*(torch.arange(size) for size in tokens), indexing="ij"), dim=-1)
    cell = torch.div(at - torch.tensor(shift), WINDOW, rounding_mode="floor").roll([-s for s in shift], (0, 1, 2))
    cell = volume_to_windows(cell[None])
    apart = (cell[:, :, None] != cell[:, None, :]).any(dim=-1)
    return torch.zeros(apart.shape, dtype=dtype).masked_fill(apart, -100.0).to(device)


def attend(weights: Weights, x: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    """Attention inside windows ``[N, 512, C]``, all scores written out."""
    n, length, width = x.shape
    qkv = linear(weights, "qkv", x).reshape(n, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.unbind(0)  # [N, heads, 512, c]
    scores = (q * (width // heads) ** -0.5) @ k.transpose(-1, -2)
    by_axis = q.view(n, heads, WINDOW, WINDOW, WINDOW, -1)
    along_d = torch.einsum("nexyzc,xkc->nexyzk", by_axis, offsets(weights["rel_pos_d"]))
    along_h = torch.einsum("nexyzc,ykc->nexyzk", by_axis, offsets(weights["rel_pos_h"]))
    along_w = torch.einsum("nexyzc,zkc->nexyzk", by_axis, offsets(weights["rel_pos_w"]))
    scores = scores.view(n, heads, *[WINDOW] * 6)
    scores = scores + along_d[..., :, None, None] + along_h[..., None, :, None] + along_w[..., None, None, :]
    scores = scores.view(n, heads, length, length)
    if mask is not None:
        scores = (scores.view(-1, len(mask), heads, length, length) + mask[:, None]).view(n, heads, length, length)
    return linear(weights, "proj", (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(n, length, width))


def offsets(table: Tensor) -> Tensor:
    """Rows of a relative table for every pair of 8 queries and 8 keys, ``[8, 8, c]``, after resizing it to 15 rows."""
    rows = F.interpolate(table.T[None], size=2 * WINDOW - 1, mode="linear")[0].T
    at = torch.arange(WINDOW, device=table.device)
    return rows[at[:, None] - at[None, :] + WINDOW - 1]


def neck(weights: Weights, x: Tensor) -> Tensor:
    x = channel_norm(part(weights, "1"), F.conv3d(x, weights["0.weight"]))
    return channel_norm(part(weights, "3"), F.conv3d(x, weights["2.weight"], padding=1))


def channel_norm(weights: Weights, x: Tensor) -> Tensor:
    """SAM's ``LayerNorm2d``, one dimension up."""
    mean = x.mean(1, keepdim=True)
    variance = (x - mean).pow(2).mean(1, keepdim=True)
    x = (x - mean) / torch.sqrt(variance + 1e-6)
    return weights["weight"][:, None, None, None] * x + weights["bias"][:, None, None, None]


# ---- auto prompt generator and mask decoder


def conv_norm_relu(weights: Weights, x: Tensor) -> Tensor:
    return F.relu(F.instance_norm(F.conv3d(x, weights["0.weight"], padding=1)))


def two(weights: Weights, x: Tensor) -> Tensor:
    return conv_norm_relu(part(weights, "1"), conv_norm_relu(part(weights, "0"), x))


def generate_prompt(weights: Weights, x: Tensor) -> Tensor:
    skips = [two(part(weights, "down.0"), x)]
    for level in range(1, 5):
        stride = [2 if size >= 4 else 1 for size in skips[-1].shape[2:]]
        skips.append(two(part(weights, f"down.{level}"), F.max_pool3d(skips[-1], stride)))
    x = skips.pop()
    for level in range(4):
        skip = skips.pop()
        x = F.interpolate(x, size=skip.shape[2:], mode="trilinear", align_corners=False)
        x = two(part(weights, f"up.{level}"), torch.cat([x, skip], dim=1))
    return F.conv3d(x, weights["out.weight"], weights["out.bias"])


def decode(weights: Weights, maps: list[Tensor], image: Tensor) -> Tensor:
    doubled = [
        F.interpolate(two(part(weights, f"heads.{index}"), features), scale_factor=2, mode="trilinear")
        for index, features in enumerate(maps)
    ]
    half = F.interpolate(image, scale_factor=0.5, mode="trilinear", align_corners=False)
    fused = conv_norm_relu(part(weights, "fuse"), torch.cat([*doubled, half], dim=1))
    logits = F.conv3d(fused, weights["classify.weight"], padding=1)
    return F.interpolate(logits, scale_factor=2, mode="trilinear", align_corners=False)
