"""All of SAM: its parts by segment-anything, and the tensors of its checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import nn

from .checkpoint import check_tensors, read_sam
from .sizes import DECODER_HEADS, DECODER_LAYERS, DECODER_MLP_RATIO, PLANE_TABLE, SAM_PATCH, SamSize
from .slice_encoder import SliceEncoder

MASK_CHANNELS = 16
"""Of SAM's encoding of mask prompts."""

SAMS_MASKS = 3
"""Masks of different size that SAM's decoder gives beside the one for clear prompts."""

_log = logging.getLogger(__name__)


def two_way_transformer(size: SamSize) -> TwoWayTransformer:
    """Returns the transformer of SAM's mask decoder."""
    width = size.neck_width
    return TwoWayTransformer(DECODER_LAYERS, width, DECODER_HEADS, DECODER_MLP_RATIO * width)


def sams_shapes(size: SamSize) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every tensor of a SAM checkpoint by name."""
    width, plane = size.neck_width, (PLANE_TABLE, PLANE_TABLE)
    with torch.device("meta"):
        encoder = SliceEncoder(size, enlarge=1, batch=1)
        prompts = PromptEncoder(width, plane, (PLANE_TABLE * SAM_PATCH, PLANE_TABLE * SAM_PATCH), MASK_CHANNELS)
        decoder = MaskDecoder(
            transformer_dim=width,
            transformer=two_way_transformer(size),
            num_multimask_outputs=SAMS_MASKS,
            iou_head_hidden_dim=width,
        )
    parts = (("image_encoder", encoder), ("prompt_encoder", prompts), ("mask_decoder", decoder))
    return {
        f"{part}.{name}": tuple(tensor.shape) for part, module in parts for name, tensor in module.state_dict().items()
    }


def copy_sam(model: nn.Module, reused: Mapping[str, str], size: SamSize, path: str | Path) -> None:
    """Copies SAM's tensors into a network, after a check of all of them by name, shape and value.

    Args:
        model: the network.
        reused: name of a tensor in the network → its name in SAM.
        size: size of the SAM that the file must hold.
        path: checkpoint in Meta's format.

    Raises:
        InputError: the file cannot be read or is another size, or a tensor is missing, unknown, of another shape or
            not finite. Every message names the file, the tensor and what to do.
    """
    tensors = read_sam(path)
    check_tensors(tensors, sams_shapes(size), size, Path(path).name)
    state = model.state_dict()
    with torch.no_grad():
        for name, sams in reused.items():
            state[name].copy_(tensors[sams])
    _log.info("%d of %d tensors of SAM reused", len(reused), len(tensors))
