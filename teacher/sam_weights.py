"""Loads a SAM checkpoint into the 3D encoder; checks every image-encoder tensor by name, shape and value."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..runtime.errors import InputError
from ..runtime.files.system_files import is_file
from ..training.tensor_file import read_tensor_file
from .encoder import VolumeEncoder
from .sam_sizes import SAM_SIZES, SamSize

PREFIX = "image_encoder."
_OTHER_PREFIXES = ("prompt_encoder.", "mask_decoder.")

TAKE_METAS = "download Meta's own file (sam_vit_b_01ec64.pth, sam_vit_l_0b3195.pth or sam_vit_h_4b8939.pth)"

_WRAPPERS = ("module", "_orig_mod")  # name parts that DataParallel and torch.compile insert where they wrap a module
_DEEPEST = 4  # levels of nested dictionaries

_log = logging.getLogger(__name__)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Returns the image-encoder tensors of a SAM checkpoint, named without their prefix; see `read_sam`.

    Raises:
        InputError: the file cannot be read, or holds no SAM image encoder, or several.
    """
    tensors = read_sam(path)
    return {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}


def read_sam(path: str | Path) -> dict[str, Tensor]:
    """Returns the tensors of a SAM checkpoint by SAM's names: image encoder, prompt encoder and mask decoder.

    Reads Meta's ``.pth`` and a ``.safetensors`` copy of it. The tensors may be nested in dictionaries (``model``,
    ``state_dict``, ``model_state_dict``, …), and their names may have the prefixes of training scripts and of networks
    around SAM (``module.``, ``_orig_mod.``, ``sam.``, …). Tensors outside these parts are ignored. Files with Python
    objects, which could run code, are refused.

    Raises:
        InputError: the file cannot be read, or holds no SAM image encoder, or several.
    """
    path = Path(path)
    if not is_file(path):
        raise InputError(f'no SAM checkpoint at "{path}"; download sam_vit_b, sam_vit_l or sam_vit_h first')
    tensors = _named_tensors(read_tensor_file(path, advice=TAKE_METAS), path.name)
    sams: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        for prefix in (PREFIX, *_OTHER_PREFIXES):
            before, found, rest = _unwrapped(name).partition(prefix)
            if found and (not before or before.endswith(".")):
                sams.setdefault(before, {})[prefix + rest] = tensor
                break
    encoders = {before: sam for before, sam in sams.items() if any(name.startswith(PREFIX) for name in sam)}
    if len(encoders) > 1:
        found = " and ".join(f'"{before}{PREFIX}"' for before in sorted(encoders)[:2])
        raise InputError(f'"{path.name}" holds several image encoders ({found}): save one of them alone')
    for before, sam in encoders.items():
        if before:
            _log.info('the tensors of "%s" are those of a SAM under "%s"', path.name, before)
        return sam
    if any("vision_encoder." in name for name in tensors):
        raise InputError(f'"{path.name}" is a SAM in Hugging Face\'s format; {TAKE_METAS}')
    raise InputError(f'"{path.name}" is not a SAM checkpoint: no tensor is named "{PREFIX}…"; {TAKE_METAS}')


def _named_tensors(state: object, file: str) -> dict[str, Tensor]:
    """Returns the tensors of a checkpoint by name; a tensor in a nested dictionary is named ``outer.inner``."""
    if not isinstance(state, Mapping):
        raise InputError(
            f'"{file}" is not a SAM checkpoint: expected named tensors, got {type(state).__name__}; {TAKE_METAS}'
        )
    return dict(_tensors_within(state, "", _DEEPEST))


def _tensors_within(state: Mapping[Any, object], before: str, levels: int) -> Iterator[tuple[str, Tensor]]:
    for key, value in state.items():
        name = f"{before}{key}"
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, Mapping) and levels > 1:
            yield from _tensors_within(value, f"{name}.", levels - 1)


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def detect_size(tensors: Mapping[str, Tensor]) -> SamSize | None:
    """Returns the size with the width and number of blocks of these image-encoder tensors; None if no row has."""
    weight = tensors.get("patch_embed.proj.weight")
    if weight is None or weight.ndim == 0:
        return None
    depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    return next((row for row in SAM_SIZES.values() if (row.width, row.depth) == (weight.shape[0], depth)), None)


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
        InputError: the file cannot be read or is another size, or a tensor is missing, unknown, of another shape or
            not finite. Every message names the file, the tensor and what to do.
    """
    tensors = read_checkpoint(path)
    file = Path(path).name
    found = detect_size(tensors)
    if found is not None and found != size:
        raise InputError(f'"{file}" is SAM {found.name}, but {size.name} was asked for; pass sam="{found.name}"')
    parameters = dict(encoder.named_parameters())
    names = reused_names(size)
    for name in (*names, *neck_names()):
        if name not in tensors:
            raise InputError(f'"{file}" lacks the tensor "{PREFIX}{name}" of SAM {size.name}; {TAKE_METAS}')
    foreign = sorted(tensors.keys() - {*names, *neck_names()})
    if foreign:
        raise InputError(f'"{file}": SAM {size.name} has no tensor "{PREFIX}{foreign[0]}"; {TAKE_METAS}')
    for name in names:
        expected, got = tuple(parameters[name].shape), tuple(tensors[name].shape)
        if expected != got:
            raise InputError(
                f'"{file}": expected "{PREFIX}{name}" of shape {expected} for {size.name}, got {got}; {TAKE_METAS}'
            )
        if not (tensors[name].is_floating_point() and torch.isfinite(tensors[name]).all()):
            raise InputError(f'"{file}": "{PREFIX}{name}" holds NaN, infinite or no real values; {TAKE_METAS}')
    with torch.no_grad():
        for name in names:
            parameters[name].copy_(tensors[name])
    for attention in encoder.attentions():
        attention.reset_depth_table()
    _log.info("%d of %d image-encoder tensors reused", len(names), len(tensors))
