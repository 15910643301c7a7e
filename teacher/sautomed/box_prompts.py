"""Box prompts: one query per organ, anchored at its box in the slice before, becomes a prompt token.

Source: 3D-SAutoMed, section 2.3, equations 4 and 5, after DAB-DETR (arXiv:2201.12329).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom
from segment_anything.modeling.transformer import TwoWayAttentionBlock
from torch import Tensor, nn

from .fused_attention import fuse_attention

LAYERS = 2
DECODER_HEADS = 8
MLP_RATIO = 8  # SAM's decoder: 2048 for a width of 256


@dataclass(frozen=True)
class Boxes:
    """Boxes of the organs in a batch of slices.

    Attributes:
        corners: left, top, right, bottom as shares 0…1 of width and height, float32 ``[N, organs, 4]``; of absent
            organs 0.
        present: whether the organ is in the slice, ``[N, organs]``.
    """

    corners: Tensor
    present: Tensor

    @classmethod
    def of(cls, logits: Tensor) -> Boxes:
        """Returns the boxes around the organs' pixels.

        Args:
            logits: ``[N, classes, h, w]``; class 0 is background and has no box.
        """
        classes, h, w = logits.shape[1:]
        labels = logits.detach().argmax(dim=1)
        organs = torch.arange(1, classes, device=labels.device)
        found = labels[:, None] == organs[None, :, None, None]
        top, bottom = _ends(found.any(dim=3))
        left, right = _ends(found.any(dim=2))
        present = found.flatten(2).any(dim=2)
        corners = torch.stack([left / w, top / h, right / w, bottom / h], dim=-1)
        return cls(corners * present[..., None], present)


def _ends(found: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the first place that is True and the place after the last one, of ``[..., length]``."""
    length = found.shape[-1]
    places = torch.arange(length, device=found.device)
    first = torch.where(found, places, length).amin(dim=-1)
    last = torch.where(found, places + 1, 0).amax(dim=-1)
    return first, last


class PlaceEncoding(PositionEmbeddingRandom):
    """SAM's random Fourier features of places, in float32 also under autocast.

    bfloat16 tells 256 places apart, and the features turn by many times 2π along a slice.
    """

    def _pe_encoding(self, coords: Tensor) -> Tensor:
        with torch.autocast(coords.device.type, enabled=False):
            return super()._pe_encoding(coords.float())


class CrossAttentionLayer(TwoWayAttentionBlock):
    """A layer of SAM's two-way transformer without its attention from image to tokens.

    Queries attend to each other and to the image, which stays as it is.

    Args:
        width: width of tokens and image.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, DECODER_HEADS, MLP_RATIO * width)
        del self.cross_attn_image_to_token, self.norm4
        fuse_attention(self)

    def forward(self, queries: Tensor, keys: Tensor, query_pe: Tensor, key_pe: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the updated queries ``[N, organs, C]`` and the image tokens ``[N, L, C]`` as they came."""
        placed = queries + query_pe
        queries = self.norm1(queries + self.self_attn(q=placed, k=placed, v=queries))
        read = self.cross_attn_token_to_image(q=queries + query_pe, k=keys + key_pe, v=keys)
        queries = self.norm2(queries + read)
        return self.norm3(queries + self.mlp(queries)), keys


class BoxPromptGenerator(nn.Module):
    """Prompt tokens of a slice from the organs' boxes in the slice before.

    Corners are encoded as SAM encodes the corners of a box prompt, by its random Fourier features. An organ that the
    slice before lacks, and all organs of a first slice, have a learned default query.

    Args:
        organs: number of organs, one query each.
        width: width of tokens and image.
    """

    def __init__(self, organs: int, width: int) -> None:
        super().__init__()
        self.anchor = nn.Linear(2 * width, width)
        self.default = nn.Parameter(torch.empty(organs, width).normal_())
        self.semantic = nn.Parameter(torch.empty(organs, width).normal_())
        self.layers = nn.ModuleList(CrossAttentionLayer(width) for _ in range(LAYERS))

    def anchors(self, boxes: Boxes | None, count: int, pe_layer: PlaceEncoding) -> Tensor:
        """Returns the anchor queries ``[N, organs, C]``.

        Args:
            boxes: boxes in the slice before; None for first slices.
            count: number N of slices.
            pe_layer: SAM's encoding of places.
        """
        default = self.default.expand(count, -1, -1)
        if boxes is None:
            return default
        corners = boxes.corners.reshape(count, -1, 2)
        encoded = pe_layer.forward_with_coords(corners, (1, 1)).reshape(*boxes.present.shape, -1)
        return torch.where(boxes.present[..., None], self.anchor(encoded.to(default.dtype)), default)

    def forward(self, image: Tensor, image_pe: Tensor, anchors: Tensor) -> Tensor:
        """Returns prompt tokens ``[N, organs, C]``.

        Args:
            image: maps ``[N, C, h, w]``.
            image_pe: position encoding ``[1, C, h, w]``.
            anchors: ``[N, organs, C]``.
        """
        keys, key_pe = (each.flatten(2).transpose(1, 2) for each in (image, image_pe))
        query_pe = anchors + self.semantic
        queries = query_pe
        for layer in self.layers:
            queries, keys = layer(queries, keys, query_pe, key_pe)
        return queries
