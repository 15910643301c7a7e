"""Self-Prompt-SAM in one file: every step as the paper and SAM write it, nothing fused, split or computed twice.

Read this first. The modules beside it compute the same with less time and memory; `tests/teacher/selfprompt` compares
logits and gradients. Modules hold the parameters; what is computed with them is written here, or is SAM's own code.

For one patch of 128³ voxels and SAM ViT-B, with tokens [D, h, w, C] and maps [D, C, h, w]:

    patch [1, 128³] -> modality adapter -> images [128, 3, 512²] -> tokens [128, 32², 768]
    tokens -> 12 blocks with adapters -> tokens after blocks 3, 6, 9 and 12 -> neck -> maps [128, 256, 32²]
    tokens -> prompt generator -> auxiliary logits [classes, 128, 128²], and three coarser ones
    slice by slice and class by class: auxiliary logits -> box, point, mask -> prompts
    class by class: prompts -> mask decoder with adapters -> masks [128, 128²]
    masks [classes, 128, 128²] -> multi-class adapter -> logits

Source: "Self-Prompt SAM", section 3; `docs/teachers.md` says what the text leaves open.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from segment_anything.modeling.prompt_encoder import PromptEncoder
from segment_anything.modeling.transformer import Attention
from torch import Tensor, nn

from ...runtime.errors import UsageError
from ...training.loop.objective import DeepLogits
from ..sam.reference import plain_attention
from .depth_adapter import DepthAdapter, DepthMlp
from .depth_encoder import DepthBlock, DepthEncoder
from .mask_decoder import DepthMaskDecoder, DepthTwoWayBlock, SlicePromptEncoder
from .network import SelfPromptSam
from .volume_adapters import ClassAdapter, ModalityAdapter


def plain_logits(model: SelfPromptSam, x: Tensor) -> DeepLogits:
    """Returns logits ``[B, classes, D, H, W]`` of patches ``[B, 1, D, H, W]``, with the parameters of ``model``.

    Args:
        model: a network with all its parts, slices along D, and the enlargement 4.
        x: patches.
    """
    one_by_one = [_one_patch(model, patch[None]) for patch in x]
    logits = torch.cat([logits for logits, _ in one_by_one])
    return DeepLogits(logits, tuple(map(torch.cat, zip(*(auxiliary for _, auxiliary in one_by_one), strict=True))))


def _one_patch(model: SelfPromptSam, patch: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    modality, classes, table = model.modality, model.classes, model.depth_table
    if modality is None or table is None or not isinstance(classes, ClassAdapter):
        raise UsageError("the plain network has all parts; build it without ablations")
    maps = encode(model.image_encoder, images(modality, patch))
    auxiliary = model.generator([tokens[None] for tokens in maps], all_levels=True)
    image = model.image_encoder.neck(maps[-1].permute(0, 3, 1, 2))
    position = model.prompt_encoder.pe_layer(image.shape[2:]).to(image.dtype) + table
    slices = auxiliary[0][0].detach().transpose(0, 1)  # [D, classes, H, W]
    masks: list[Tensor] = []
    for number in range(slices.shape[1]):
        prompts = [prompt(model.prompt_encoder, logits, number) for logits in slices]
        tokens, dense = (torch.cat(parts) for parts in zip(*prompts, strict=True))
        masks.append(decode(model.mask_decoder, image, position, tokens, dense))
    widened = classes.norm(classes.widen(torch.stack(masks)[None]))
    return classes.join(F.gelu(widened)), auxiliary


# ---- SAM's image encoder, all slices at once


def images(modality: ModalityAdapter, patch: Tensor) -> Tensor:
    """Returns images ``[D, 3, 4·H, 4·W]`` of a patch ``[1, 1, D, H, W]``, by layers on the whole volume."""
    x = F.gelu(modality.volume(patch))
    for layer in (*modality.enlargement, *modality.colours):
        if isinstance(layer, nn.ConvTranspose2d):
            x = F.conv_transpose3d(x, layer.weight[:, :, None], layer.bias, stride=(1, 2, 2))
        elif isinstance(layer, nn.Conv2d):
            edge = layer.kernel_size[0] // 2
            x = F.conv3d(x, layer.weight[:, :, None], layer.bias, padding=(0, edge, edge))
        else:
            x = layer(x)
    return modality.norm(x)[0].transpose(0, 1)


def encode(encoder: DepthEncoder, pixels: Tensor) -> list[Tensor]:
    """Returns the tokens ``[D, h, w, C]`` after each quarter of the blocks, of images ``[D, 3, 16·h, 16·w]``."""
    if encoder.depth_table is None:
        raise UsageError("the plain network has all parts; build it without ablations")
    tokens = encoder.patch_embed(pixels)
    table = F.interpolate(encoder.position_table.permute(0, 3, 1, 2), tokens.shape[1:3], mode="bilinear")
    tokens = tokens + table.permute(0, 2, 3, 1) + encoder.depth_table
    maps: list[Tensor] = []
    for block in encoder.blocks:
        if isinstance(block, DepthBlock):
            tokens = sams_block(block, tokens)
            maps.append(tokens)
    quarter = len(maps) // 4
    return maps[quarter - 1 :: quarter]


def sams_block(block: DepthBlock, x: Tensor) -> Tensor:
    """Returns tokens ``[D, h, w, C]``: SAM's block with an adapter after the attention and one beside the MLP."""
    added = plain_attention(block, x)
    x = x + added + adapt(block.attention_adapter, added)
    normed = block.norm2(x)
    return x + block.mlp(normed) + 0.5 * adapt(block.mlp_adapter, normed)


def adapt(adapter: DepthAdapter | None, x: Tensor) -> Tensor:
    """Returns what a depth adapter adds to tokens ``[D, …, C]``."""
    if adapter is None or not isinstance(adapter.fused, DepthMlp):
        raise UsageError("the plain network has all parts; build it without ablations")
    along = F.gelu(adapter.down(x)).movedim(0, -1)
    along = along + adapter.fused.second(F.gelu(adapter.fused.first(along)))
    return adapter.up(along.movedim(-1, 0))


# ---- prompts of one class in one slice


def prompt(encoder: SlicePromptEncoder, logits: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Returns SAM's own encoding of the prompts, tokens ``[1, 3, C]`` and dense prompts ``[1, C, H/4, W/4]``.

    Args:
        encoder: SAM's prompt encoder.
        logits: auxiliary logits ``[classes, H, W]``.
        number: number of the class.
    """
    mask = (logits.argmax(dim=0) == number).numpy()
    h, w = mask.shape
    if not mask.any():
        nowhere, nothing = torch.zeros(1, 2, 2), -torch.ones(1, 2)
        tokens, none = PromptEncoder.forward(encoder, (nowhere, nothing), None, None)  # SAM adds a third such point
        return tokens, none[:, :, :1, :1].expand(-1, -1, h // 4, w // 4)
    rows, columns = np.nonzero(mask)
    edges = torch.tensor([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]])
    distances = np.asarray(distance_transform_edt(np.pad(mask, 1)))[1:-1, 1:-1]
    y, x = np.unravel_index(distances.argmax(), mask.shape)
    pixels = torch.tensor(encoder.input_image_size)[[1, 0]] / torch.tensor([w, h])
    point = (torch.tensor([[[x, y]]]) + 0.5) * pixels - 0.5  # SAM adds this half pixel
    box = (edges.view(1, 2, 2) * pixels - 0.5).view(1, 4)
    probability = logits.softmax(dim=0)[number]
    odds = (probability / (logits.softmax(dim=0).sum(dim=0) - probability)).log()
    return PromptEncoder.forward(encoder, (point, torch.ones(1, 1)), box, odds[None, None])


# ---- the masks of one class in all slices


def decode(decoder: DepthMaskDecoder, image: Tensor, position: Tensor, tokens: Tensor, dense: Tensor) -> Tensor:
    """Returns mask logits ``[D, 4·h, 4·w]``.

    Args:
        decoder: SAM's mask decoder.
        image: embeddings ``[D, C, h, w]``.
        position: their places, of the same shape.
        tokens: prompts ``[D, 3, C]``.
        dense: prompts ``[D, C, h, w]``.
    """
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]).expand(len(image), -1, -1)
    start = queries = torch.cat([own, tokens], dim=1)
    keys, places = (each.flatten(2).transpose(1, 2) for each in (image + dense, position))
    for layer in decoder.transformer.layers:
        if isinstance(layer, DepthTwoWayBlock):
            queries, keys = two_way(layer, queries, keys, start, places)
    final = decoder.transformer.final_attn_token_to_image
    queries = queries + Attention.forward(final, queries + start, keys + places, keys)
    queries = decoder.transformer.norm_final_attn(queries)
    upscaled = decoder.output_upscaling(keys.transpose(1, 2).reshape(image.shape))
    weights = decoder.output_hypernetworks_mlps[0](queries[:, 1])  # of SAM's first mask token
    return torch.einsum("dc,dchw->dhw", weights, upscaled)


def two_way(
    layer: DepthTwoWayBlock, queries: Tensor, keys: Tensor, start: Tensor, places: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns tokens ``[D, n, C]`` and image ``[D, L, C]`` after a block, with SAM's own attention."""
    if layer.skip_first_layer_pe:
        queries = layer.norm1(Attention.forward(layer.self_attn, queries, queries, queries))
    else:
        placed = queries + start
        queries = layer.norm1(queries + Attention.forward(layer.self_attn, placed, placed, queries))
    added = Attention.forward(layer.cross_attn_token_to_image, queries + start, keys + places, keys)
    queries = layer.norm2(queries + added + adapt(layer.token_adapter, added))
    queries = layer.norm3(queries + layer.mlp(queries) + 0.5 * adapt(layer.mlp_adapter, queries))
    added = Attention.forward(layer.cross_attn_image_to_token, keys + places, queries + start, queries)
    return queries, layer.norm4(keys + added + adapt(layer.image_adapter, added))
