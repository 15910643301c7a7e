"""Loads a SAM checkpoint into a 3D-SAutoMed: image encoder, encoding of places and mask decoder.

As in SAMed, what depends on the number of masks starts anew: mask tokens and the MLPs that turn them into masks. SAM's
encodings of points, boxes and masks, and its head for the quality of masks, have no place in this network.
"""

from __future__ import annotations

from pathlib import Path

from ..sam.sizes import SamSize
from ..sam.whole import copy_sam
from .network import SAutoMed

_FROM_PROMPT_ENCODER = {
    "pe_layer.positional_encoding_gaussian_matrix": "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    "no_mask_embed.weight": "prompt_encoder.no_mask_embed.weight",
}
_NEW = ("mask_decoder.mask_tokens.", "mask_decoder.output_hypernetworks_mlps.", ".attn.qkv.down_", ".attn.qkv.up_")


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
    copy_sam(model, reused_names(model), size, path)
