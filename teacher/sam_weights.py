"""Reads a SAM checkpoint into the 3D encoder; every tensor is accounted for."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..runtime.errors import InputError
from .encoder import VolumeEncoder
from .variants import VARIANTS, SamVariant

PREFIX = "image_encoder."

_log = logging.getLogger(__name__)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Returns the image-encoder tensors of a SAM checkpoint, named without their prefix.

    Raises:
        InputError: the file cannot be read, or holds no SAM image encoder.
    """
    path = Path(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f'no SAM checkpoint at "{path}"; download sam_vit_b, sam_vit_l or sam_vit_h first') from None
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f'"{path.name}" cannot be read as a torch checkpoint of plain tensors: {reason}') from error
    if not isinstance(state, Mapping):
        raise InputError(f'"{path.name}" is not a SAM checkpoint: expected named tensors, got {type(state).__name__}')
    encoder = {
        str(name).removeprefix(PREFIX): tensor
        for name, tensor in state.items()
        if str(name).startswith(PREFIX) and isinstance(tensor, Tensor)
    }
    if not encoder:
        raise InputError(f'"{path.name}" is not a SAM checkpoint: no tensor is named "{PREFIX}…"')
    return encoder


def detect_variant(tensors: Mapping[str, Tensor]) -> SamVariant | None:
    """The variant that image-encoder tensors belong to, by width and number of blocks; None if it is none of ours."""
    weight = tensors.get("patch_embed.proj.weight")
    if weight is None or weight.ndim == 0:
        return None
    depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    return next((row for row in VARIANTS.values() if (row.width, row.depth) == (weight.shape[0], depth)), None)


def reused_names(variant: SamVariant) -> list[str]:
    """Names, as in SAM, of the tensors the 3D encoder takes over unchanged."""
    in_block = [
        f"{part}.{kind}"
        for part in ("norm1", "norm2", "attn.qkv", "attn.proj", "mlp.lin1", "mlp.lin2")
        for kind in ("weight", "bias")
    ]
    in_block += ["attn.rel_pos_h", "attn.rel_pos_w"]
    names = ["pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"]
    return names + [f"blocks.{block}.{name}" for block in range(variant.depth) for name in in_block]


def load_sam_weights(encoder: VolumeEncoder, variant: SamVariant, path: str | Path) -> None:
    """Copies SAM's tensors into the encoder, then starts the relative depth tables from them.

    Raises:
        InputError: the file cannot be read, is another variant, or a tensor is missing or has another shape.
    """
    tensors = read_checkpoint(path)
    file = Path(path).name
    found = detect_variant(tensors)
    if found is not None and found != variant:
        raise InputError(f'"{file}" is SAM {found.name}, but {variant.name} was asked for; pass sam="{found.name}"')
    parameters = dict(encoder.named_parameters())
    names = reused_names(variant)
    for name in names:
        if name not in tensors:
            raise InputError(f'"{file}" lacks the tensor "{PREFIX}{name}" of SAM {variant.name}; download it again')
        expected, got = tuple(parameters[name].shape), tuple(tensors[name].shape)
        if expected != got:
            raise InputError(f'"{file}": expected "{PREFIX}{name}" of shape {expected} for {variant.name}, got {got}')
        if not torch.isfinite(tensors[name]).all():
            raise InputError(f'"{file}": "{PREFIX}{name}" holds NaN or infinite values; download it again')
    with torch.no_grad():
        for name in names:
            parameters[name].copy_(tensors[name])
    for attention in encoder.attentions():
        attention.reset_depth_table()
    _log.info("%d of %d image-encoder tensors reused", len(names), len(tensors))
