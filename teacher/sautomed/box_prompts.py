"""Box prompts: one query per organ, anchored at its box in the slice before, becomes a prompt token.

Source: 3D-SAutoMed, section 2.3, equations 4 and 5, after DAB-DETR (arXiv:2201.12329).
"""

from __future__ import annotations

import torch
from segment_anything.modeling.transformer import TwoWayAttentionBlock
from torch import Tensor, nn

from ..sam.boxes import Boxes, PlaceEncoding
from ..sam.fused_attention import fuse_attention
from ..sam.sizes import DECODER_HEADS, DECODER_MLP_RATIO

LAYERS = 2


class CrossAttentionLayer(TwoWayAttentionBlock):
    """A layer of SAM's two-way transformer without its attention from image to tokens.

    Queries attend to each other and to the image, which stays as it is.

    Args:
        width: width of tokens and image.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, DECODER_HEADS, DECODER_MLP_RATIO * width)
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
