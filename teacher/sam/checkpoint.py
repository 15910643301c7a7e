"""Reads SAM's checkpoints: finds its tensors in a file, and checks every one by name, shape and value."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...runtime.errors import InputError
from ...runtime.files.system_files import is_file
from ...training.tensor_file import read_tensor_file
from .sizes import SAM_SIZES, SamSize

ENCODER = "image_encoder."
"""Prefix of the image encoder's tensors."""

_PREFIXES = (ENCODER, "prompt_encoder.", "mask_decoder.")

_TAKE_METAS = "download Meta's own file (sam_vit_b_01ec64.pth, sam_vit_l_0b3195.pth or sam_vit_h_4b8939.pth)"

_WRAPPERS = ("module", "_orig_mod")  # name parts that DataParallel and torch.compile insert where they wrap a module
_DEEPEST = 4  # levels of nested dictionaries

_log = logging.getLogger(__name__)


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
    tensors = _named_tensors(read_tensor_file(path, advice=_TAKE_METAS), path.name)
    sams: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        for prefix in _PREFIXES:
            before, found, rest = _unwrapped(name).partition(prefix)
            if found and (not before or before.endswith(".")):
                sams.setdefault(before, {})[prefix + rest] = tensor
                break
    encoders = {before: sam for before, sam in sams.items() if any(name.startswith(ENCODER) for name in sam)}
    if len(encoders) > 1:
        found = " and ".join(f'"{before}{ENCODER}"' for before in sorted(encoders)[:2])
        raise InputError(f'"{path.name}" holds several image encoders ({found}): save one of them alone')
    for before, sam in encoders.items():
        if before:
            _log.info('the tensors of "%s" are those of a SAM under "%s"', path.name, before)
        return sam
    if any("vision_encoder." in name for name in tensors):
        raise InputError(f'"{path.name}" is a SAM in Hugging Face\'s format; {_TAKE_METAS}')
    raise InputError(f'"{path.name}" is not a SAM checkpoint: no tensor is named "{ENCODER}…"; {_TAKE_METAS}')


def _named_tensors(state: object, file: str) -> dict[str, Tensor]:
    """Returns the tensors of a checkpoint by name; a tensor in a nested dictionary is named ``outer.inner``."""
    if not isinstance(state, Mapping):
        raise InputError(
            f'"{file}" is not a SAM checkpoint: expected named tensors, got {type(state).__name__}; {_TAKE_METAS}'
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
    """Returns the size with the width and number of blocks of a SAM's tensors; None if no row has."""
    weight = tensors.get(f"{ENCODER}patch_embed.proj.weight")
    if weight is None or weight.ndim == 0:
        return None
    blocks = f"{ENCODER}blocks."
    depth = len({name.removeprefix(blocks).split(".")[0] for name in tensors if name.startswith(blocks)})
    return next((row for row in SAM_SIZES.values() if (row.width, row.depth) == (weight.shape[0], depth)), None)


def check_tensors(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...] | None], size: SamSize, file: str
) -> None:
    """Checks the tensors of a SAM checkpoint by name, shape and value.

    Args:
        tensors: the tensors by SAM's names.
        shapes: name → shape of every tensor that a SAM of this size has; None: shape and values do not matter.
        size: the size that was asked for.
        file: name of the file, for messages.

    Raises:
        InputError: the checkpoint is another size, or a tensor is missing, unknown, of another shape or not finite.
            Every message names the file, the tensor and what to do.
    """
    found = detect_size(tensors)
    if found is not None and found != size:
        raise InputError(f'"{file}" is SAM {found.name}, but {size.name} was asked for; pass sam="{found.name}"')
    for part in _PREFIXES:
        if any(name.startswith(part) for name in shapes) and not any(name.startswith(part) for name in tensors):
            raise InputError(f'"{file}" has no "{part}…", and this teacher needs that part of SAM too; {_TAKE_METAS}')
    for name in shapes:
        if name not in tensors:
            raise InputError(f'"{file}" lacks the tensor "{name}" of SAM {size.name}; {_TAKE_METAS}')
    if foreign := sorted(tensors.keys() - shapes.keys()):
        raise InputError(f'"{file}": SAM {size.name} has no tensor "{foreign[0]}"; {_TAKE_METAS}')
    for name, expected in shapes.items():
        if expected is None:
            continue
        got = tuple(tensors[name].shape)
        if expected != got:
            raise InputError(
                f'"{file}": expected "{name}" of shape {expected} for {size.name}, got {got}; {_TAKE_METAS}'
            )
        if not (tensors[name].is_floating_point() and torch.isfinite(tensors[name]).all()):
            raise InputError(f'"{file}": "{name}" holds NaN, infinite or no real values; {_TAKE_METAS}')
