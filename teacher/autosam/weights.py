"""Loads a SAM checkpoint's image encoder into the 3D encoder of an AutoSAM Adapter."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from ..sam.checkpoint import ENCODER, check_tensors, read_sam
from ..sam.sizes import SamSize
from .encoder import VolumeEncoder

_log = logging.getLogger(__name__)


def reused_names(size: SamSize) -> list[str]:
    """Returns SAM's names of the tensors that the 3D encoder copies unchanged."""
    in_block = [
        f"{part}.{kind}"
        for part in ("norm1", "norm2", "attn.qkv", "attn.proj", "mlp.lin1", "mlp.lin2")
        for kind in ("weight", "bias")
    ]
    in_block += ["attn.rel_pos_h", "attn.rel_pos_w"]
    names = ["pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"]
    return names + [f"blocks.{block}.{name}" for block in range(size.depth) for name in in_block]


def neck_names() -> list[str]:
    """Returns the names of the six tensors of SAM's 2D neck: in every SAM checkpoint, not used by the 3D encoder."""
    return ["neck.0.weight", "neck.1.weight", "neck.1.bias", "neck.2.weight", "neck.3.weight", "neck.3.bias"]


def load_sam_weights(encoder: VolumeEncoder, size: SamSize, path: str | Path) -> None:
    """Copies SAM's tensors into the encoder, then initialises the relative depth tables from them.

    Raises:
        InputError: the file cannot be read or is another size, or a tensor of its image encoder is missing, unknown, of
            another shape or not finite.
    """
    tensors = {name: tensor for name, tensor in read_sam(path).items() if name.startswith(ENCODER)}
    parameters = dict(encoder.named_parameters())
    reused = {f"{ENCODER}{name}": parameters[name] for name in reused_names(size)}
    shapes = {name: tuple(parameter.shape) for name, parameter in reused.items()}
    check_tensors(tensors, {**shapes, **{f"{ENCODER}{name}": None for name in neck_names()}}, size, Path(path).name)
    with torch.no_grad():
        for name, parameter in reused.items():
            parameter.copy_(tensors[name])
    for attention in encoder.attentions():
        attention.reset_depth_table()
    _log.info("%d of %d image-encoder tensors reused", len(reused), len(tensors))
