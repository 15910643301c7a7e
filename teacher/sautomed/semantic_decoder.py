"""SAM's mask decoder with one mask token per class, and tokens that carry the history of the slices before.

Source: 3D-SAutoMed, section 2.2, equation 3, and section 2.1.
"""

from __future__ import annotations

import torch
from segment_anything.modeling.mask_decoder import MaskDecoder
from segment_anything.modeling.transformer import TwoWayTransformer
from torch import Tensor, nn

from ..recompute import recomputed
from ..sam.fused_attention import fuse_attention
from ..sam.modules import MLPBlock
from ..sam.sizes import DECODER_HEADS, DECODER_LAYERS, DECODER_MLP_RATIO

HISTORY_TOKENS = 8


class HistoryFilter(nn.Module):
    """Historical information tokens: their learned start, and the filter between two slices, an MLP and a norm.

    The filter is a residual sum with the norm after it, as the MLP of a layer of SAM's decoder is.

    Args:
        width: token width C.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.empty(HISTORY_TOKENS, width).normal_())
        self.mlp = MLPBlock(width, DECODER_MLP_RATIO * width, nn.ReLU)
        self.norm = nn.LayerNorm(width)

    def first(self, count: int) -> Tensor:
        """Returns the tokens of first slices, ``[N, 8, C]``."""
        return self.start.expand(count, -1, -1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns the tokens for the next slice, ``[N, 8, C]``."""
        return self.norm(tokens + self.mlp(tokens))


class SemanticDecoder(MaskDecoder):
    """SAM's mask decoder for a batch of slices: one mask per class, of logits for a softmax.

    It has no head for the quality of masks, which no loss would teach.

    Args:
        classes: number of masks, background included.
        width: width of tokens and image.
    """

    def __init__(self, classes: int, width: int) -> None:
        transformer = TwoWayTransformer(DECODER_LAYERS, width, DECODER_HEADS, DECODER_MLP_RATIO * width)
        fuse_attention(transformer)
        super().__init__(transformer_dim=width, transformer=transformer, num_multimask_outputs=classes - 1)
        del self.iou_prediction_head

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - slices, not prompts, are its batch
        self, image: Tensor, image_pe: Tensor, history: Tensor, prompts: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns logits ``[N, classes, 4·h, 4·w]`` and the history tokens ``[N, tokens, C]`` after this slice.

        Args:
            image: maps ``[N, C, h, w]``.
            image_pe: position encoding ``[1, C, h, w]``.
            history: tokens ``[N, tokens, C]``; there may be none.
            prompts: tokens ``[N, organs, C]``; there may be none.
        """
        output = torch.cat([self.iou_token.weight, self.mask_tokens.weight]).expand(len(image), -1, -1)
        tokens = torch.cat([output, history, prompts], dim=1)
        tokens, read = self.transformer(image, image_pe.expand_as(image), tokens)
        own = output.shape[1]
        masks = tokens[:, 1:own]
        read = read.transpose(1, 2).reshape(image.shape)
        return self._logits(read, masks), tokens[:, own : own + history.shape[1]]

    def _logits(self, image: Tensor, masks: Tensor) -> Tensor:
        upscaled = recomputed(self.output_upscaling, image)
        weights = torch.stack([mlp(masks[:, c]) for c, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1)
        return (weights @ upscaled.flatten(2)).reshape(*masks.shape[:2], *upscaled.shape[2:])
