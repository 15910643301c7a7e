"""Loads a SAM checkpoint into a 3D-SAutoMed: image encoder, encoding of places and mask decoder.

As in SAMed, what depends on the number of masks starts anew: mask tokens and the MLPs that turn them into masks. SAM's
encodings of points, boxes and masks, and its head for the quality of masks, have no place in this network.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

from ..sam.checkpoint import check_tensors, read_sam
from ..sam.sizes import PLANE_TABLE, SamSize
from .box_prompts import DECODER_HEADS, MLP_RATIO
from .network import SAutoMed
from .semantic_decoder import DEPTH
from .slice_encoder import SAM_PATCH, SliceEncoder

_SAMS_MASKS = 3  # SAM's masks of different size, beside the one for clear prompts
_MASK_CHANNELS = 16  # SAM's, in its encoding of masks

_FROM_PROMPT_ENCODER = {
    "pe_layer.positional_encoding_gaussian_matrix": "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    "no_mask_embed.weight": "prompt_encoder.no_mask_embed.weight",
}
_NEW = ("mask_decoder.mask_tokens.", "mask_decoder.output_hypernetworks_mlps.", ".attn.qkv.down_", ".attn.qkv.up_")

_log = logging.getLogger(__name__)


def sams_shapes(size: SamSize) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every tensor of a SAM checkpoint by name."""
    width = size.neck_width
    with torch.device("meta"):
        encoder = SliceEncoder(size, enlarge=1, batch=1)
        prompts = PromptEncoder(
            width, (PLANE_TABLE, PLANE_TABLE), (PLANE_TABLE * SAM_PATCH, PLANE_TABLE * SAM_PATCH), _MASK_CHANNELS
        )
        transformer = TwoWayTransformer(DEPTH, width, DECODER_HEADS, MLP_RATIO * width)
        decoder = MaskDecoder(
            transformer_dim=width,
            transformer=transformer,
            num_multimask_outputs=_SAMS_MASKS,
            iou_head_hidden_dim=width,
        )
    parts = (("image_encoder", encoder), ("prompt_encoder", prompts), ("mask_decoder", decoder))
    named = {f"{part}.{name}": tensor for part, module in parts for name, tensor in module.state_dict().items()}
    return {name: tuple(tensor.shape) for name, tensor in named.items() if not any(new in name for new in _NEW[2:])}


def reused_names(model: SAutoMed) -> dict[str, str]:
    """Returns the network's tensors that are SAM's, by name: the name in SAM."""
    parts = ("image_encoder.", "mask_decoder.")
    names = [name for name in model.state_dict() if name.startswith(parts) and not any(new in name for new in _NEW)]
    return {**dict(zip(names, names, strict=True)), **_FROM_PROMPT_ENCODER}


def load_sam(model: SAutoMed, size: SamSize, path: str | Path) -> None:
    """Copies SAM's tensors into the network, after a check of all of them by name, shape and value.

    Raises:
        InputError: the file cannot be read or is another size, or a tensor is missing, unknown, of another shape or
            not finite. Every message names the file, the tensor and what to do.
    """
    tensors = read_sam(path)
    check_tensors(tensors, sams_shapes(size), size, Path(path).name)
    reused = reused_names(model)
    state = model.state_dict()
    with torch.no_grad():
        for name, sams in reused.items():
            state[name].copy_(tensors[sams])
    _log.info("%d of %d tensors of SAM reused", len(reused), len(tensors))
