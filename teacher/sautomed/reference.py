"""3D-SAutoMed in one file: every step as the paper and SAM write it, slice after slice, nothing fused, shared or saved.

Read this first. The modules beside it compute the same with less time and memory; `tests/teacher/sautomed` compares
logits and gradients. Modules hold the parameters; what is computed with them is written here, or is SAM's own code.

For one patch of 128³ voxels and SAM ViT-B, with tokens [N, h, w, C] and maps [N, C, h, w]:

    slices [128, 1, 128²] -> enlarged [128, 3, 512²] -> tokens [128, 32², 768]
    tokens -> 12 blocks, neck -> maps [128, 256, 32²]
    maps -> attention to the two neighbours, within the slice, MLP -> maps
    slice by slice: box of the slice before -> prompts; prompts and history tokens -> mask decoder -> logits, history
    logits [classes, 128, 128²]

Source: "3D-SAutoMed", section 2; `docs/teachers.md` says what the text leaves open.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from segment_anything.modeling.transformer import Attention as SamsAttention
from segment_anything.modeling.transformer import TwoWayTransformer
from torch import Tensor, nn
from torch.func import functional_call

from ...runtime.errors import UsageError
from ..sam.boxes import Boxes, class_masks
from ..sam.reference import plain_attention
from ..sam.sizes import DECODER_HEADS, DECODER_LAYERS, DECODER_MLP_RATIO
from ..sam.slice_encoder import SliceBlock, SliceEncoder
from .box_prompts import BoxPromptGenerator, CrossAttentionLayer
from .network import SAutoMed
from .semantic_decoder import SemanticDecoder
from .slice_sharing import HEADS, InterSliceAttention, IntraSliceAttention, SliceSharing


def plain_logits(model: SAutoMed, x: Tensor, runs: list[list[int]] | None = None) -> Tensor:
    """Returns logits ``[B, classes, D, H, W]`` of patches ``[B, 1, D, H, W]``, with the parameters of ``model``.

    Args:
        model: a network with all its parts, slices along D, and the enlargement 4.
        x: patches.
        runs: slices in the order in which each takes over the history of the one before; a slice of two runs counts
            once. None: the runs of training from the middle slice to both ends.
    """
    runs = training_runs(x.shape[2]) if runs is None else runs
    return torch.stack([_one_patch(model, patch.movedim(1, 0), runs) for patch in x])


def training_runs(depth: int) -> list[list[int]]:
    """Returns runs of 2, 3 and 4 slices in turn, from the middle to the top and from below it to the bottom."""
    runs = []
    for chain in (list(range(depth // 2, depth)), list(range(depth // 2 - 1, -1, -1))):
        count = 0
        while chain:
            length = 2 + count % 3
            runs.append(chain[:length])
            chain, count = chain[length:], count + 1
    return runs


def _one_patch(model: SAutoMed, slices: Tensor, runs: list[list[int]]) -> Tensor:
    generator, keep, sharing = model.generator, model.filter, model.sharing
    if generator is None or keep is None or not isinstance(sharing, SliceSharing):
        raise UsageError("the plain network has all parts; build it without ablations")
    maps = share(sharing, encode(model.image_encoder, slices))
    place = model.pe_layer(maps.shape[2:])[None].to(maps.dtype)
    logits: dict[int, Tensor] = {}
    for run in runs:
        history, boxes = keep.start[None], None
        for number in run:
            image = maps[number : number + 1]
            prompts = prompt(generator, image, place, generator.anchors(boxes, 1, model.pe_layer))
            image = image + model.no_mask_embed.weight[0, :, None, None]
            out, history = decode(model.mask_decoder, image, place, history, prompts)
            history, boxes = keep(history), Boxes.around(class_masks(out, first=1))
            logits.setdefault(number, out[0])
    return torch.stack([logits[number] for number in range(len(maps))], dim=1)


# ---- SAM's image encoder, all slices at once


def encode(encoder: SliceEncoder, slices: Tensor) -> Tensor:
    """Returns maps ``[D, C, h, w]`` of slices ``[D, 1, H, W]``."""
    h, w = (size * encoder.enlarge for size in slices.shape[2:])
    pixels = F.interpolate(slices.repeat(1, 3, 1, 1), (h, w), mode="bilinear")
    tokens = encoder.patch_embed(pixels)
    table = F.interpolate(encoder.position_table.permute(0, 3, 1, 2), tokens.shape[1:3], mode="bilinear")
    tokens = tokens + table.permute(0, 2, 3, 1)
    for block in encoder.blocks:
        if isinstance(block, SliceBlock):
            tokens = sams_block(block, tokens)
    return encoder.neck(tokens.permute(0, 3, 1, 2))


def sams_block(block: SliceBlock, x: Tensor) -> Tensor:
    """Returns tokens ``[D, h, w, C]``: SAM's block with SAM's own attention."""
    x = x + plain_attention(block, x)
    return x + block.mlp(block.norm2(x))


# ---- local sharing (equations 1 and 2)


def share(sharing: SliceSharing, maps: Tensor) -> Tensor:
    """Returns maps ``[D, C, h, w]``."""
    tokens = maps.flatten(2).transpose(1, 2)  # [D, L, C]
    tokens = tokens + inter_slice(sharing.inter, sharing.norm1(tokens))
    tokens = tokens + intra_slice(sharing.intra, sharing.norm2(tokens))
    tokens = tokens + sharing.mlp(sharing.norm3(tokens))
    return tokens.transpose(1, 2).reshape(maps.shape)


def inter_slice(attention: InterSliceAttention, x: Tensor) -> Tensor:
    """Returns tokens ``[D, L, C]``: the middle one of the three tokens at a place, after their self-attention."""
    before, after = torch.cat([x[:1], x[:-1]]), torch.cat([x[1:], x[-1:]])
    three = torch.stack([before, x, after], dim=2)  # [D, L, 3, C]
    return self_attention(attention.qkv, attention.proj, three)[:, :, 1]


def intra_slice(attention: IntraSliceAttention, x: Tensor) -> Tensor:
    """Returns tokens ``[D, L, C]``: self-attention of the tokens of each slice."""
    return self_attention(attention.qkv, attention.proj, x)


def self_attention(qkv: nn.Linear, proj: nn.Linear, x: Tensor) -> Tensor:
    """Returns multi-head self-attention ``[..., n, C]`` of tokens ``[..., n, C]``."""
    heads = qkv(x).unflatten(-1, (3, HEADS, -1))
    query, key, value = (each.transpose(-3, -2) for each in heads.unbind(-3))  # [..., heads, n, c]
    weights = (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(dim=-1)
    return proj((weights @ value).transpose(-3, -2).flatten(-2))


# ---- prompts (equation 5) and masks (equation 3) of one slice


def prompt(generator: BoxPromptGenerator, image: Tensor, place: Tensor, anchors: Tensor) -> Tensor:
    """Returns prompt tokens ``[1, organs, C]`` of anchors, and of a map and its places ``[1, C, h, w]``."""
    keys, places = image.flatten(2).transpose(1, 2), place.flatten(2).transpose(1, 2)
    start = x = anchors + generator.semantic
    for layer in generator.layers:
        if isinstance(layer, CrossAttentionLayer):
            x = layer.norm1(x + SamsAttention.forward(layer.self_attn, x + start, x + start, x))
            x = layer.norm2(x + SamsAttention.forward(layer.cross_attn_token_to_image, x + start, keys + places, keys))
            x = layer.norm3(x + layer.mlp(x))
    return x


def decode(
    decoder: SemanticDecoder, image: Tensor, place: Tensor, history: Tensor, prompts: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns logits ``[1, classes, 4·h, 4·w]`` and history tokens, by SAM's own transformer and upscaling."""
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])[None]
    with torch.device("meta"):
        sams = TwoWayTransformer(DECODER_LAYERS, image.shape[1], DECODER_HEADS, DECODER_MLP_RATIO * image.shape[1])
    weights: dict[str, Tensor] = dict(decoder.transformer.named_parameters())
    tokens, read = functional_call(sams, weights, (image, place, torch.cat([own, history, prompts], dim=1)))
    upscaled = decoder.output_upscaling(read.transpose(1, 2).reshape(image.shape))
    count = own.shape[1] - 1
    masks = [mlp(tokens[:, 1 + number]) for number, mlp in enumerate(decoder.output_hypernetworks_mlps)]
    logits = torch.einsum("kc,chw->khw", torch.cat(masks), upscaled[0])[None]
    return logits, tokens[:, 1 + count : 1 + count + history.shape[1]]
