"""SAM's prompt encoder and mask decoder for one class in all slices of a patch, with depth adapters in the decoder.

Source: Self-Prompt-SAM, section 3.2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from segment_anything.modeling.transformer import TwoWayAttentionBlock
from torch import Tensor, nn

from ..sam.boxes import PlaceEncoding
from ..sam.fused_attention import fuse_attention
from ..sam.sizes import DECODER_HEADS, DECODER_MLP_RATIO, PLANE_TABLE, SAM_PATCH, SamSize
from ..sam.whole import MASK_CHANNELS, SAMS_MASKS, two_way_transformer
from .depth_adapter import DepthAdapter
from .prompts import Prompts

_POINT, _TOP_LEFT, _BOTTOM_RIGHT = 1, 2, 3  # places among SAM's embeddings of points
_PARALLEL = 0.5  # weight of the adapter beside the MLP


class SlicePromptEncoder(PromptEncoder):
    """SAM's prompt encoder for a point, a box and a mask in each slice, whatever its size.

    A slice without the class has SAM's "not a point" as all three tokens, and SAM's "no mask". Modules are called, not
    their weights read, because sharded weights are whole only while their module runs.

    Args:
        size: size of SAM.
    """

    def __init__(self, size: SamSize) -> None:
        pixels = PLANE_TABLE * SAM_PATCH
        super().__init__(size.neck_width, (PLANE_TABLE, PLANE_TABLE), (pixels, pixels), MASK_CHANNELS)
        self.pe_layer = PlaceEncoding(size.neck_width // 2)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - prompts of a class, not of a user
        self, prompts: Prompts, h: int, w: int
    ) -> tuple[Tensor, Tensor]:
        """Returns tokens ``[N, 3, C]`` and dense prompts ``[N, C, h, w]``.

        Args:
            prompts: prompts of a class in N slices.
            h: rows of SAM's tokens.
            w: columns of SAM's tokens.
        """
        places = torch.cat([prompts.points, prompts.corners], dim=1).unflatten(1, (3, 2))
        only = torch.zeros(1, dtype=torch.long, device=places.device)
        kinds = torch.cat([self.point_embeddings[kind](only) for kind in (_POINT, _TOP_LEFT, _BOTTOM_RIGHT)])
        tokens = self.pe_layer.forward_with_coords(places, (1, 1)) + kinds
        tokens = torch.where(prompts.present[:, None, None], tokens, self.not_a_point_embed(only))
        masks = prompts.masks
        if masks.shape[2:] != (4 * h, 4 * w):
            masks = F.interpolate(masks, size=(4 * h, 4 * w), mode="bilinear", align_corners=False)
        dense = self.mask_downscaling(masks)
        none = self.no_mask_embed(only)[:, :, None, None]
        return tokens, torch.where(prompts.present[:, None, None, None], dense, none)


class DepthTwoWayBlock(TwoWayAttentionBlock):
    """A block of SAM's two-way transformer, with adapters.

    One stands after each attention between tokens and image, and one beside the MLP.

    Args:
        size: size of SAM.
        depth: slices D of a patch.
        depth_mlp: place of the depth MLPs.
        first: whether it is the first block, whose tokens have no position of their own.
    """

    def __init__(self, size: SamSize, depth: int, depth_mlp: str, *, first: bool) -> None:
        width = size.neck_width
        super().__init__(width, DECODER_HEADS, DECODER_MLP_RATIO * width, skip_first_layer_pe=first)
        self.depth = depth
        self.token_adapter, self.mlp_adapter, self.image_adapter = (
            DepthAdapter(width, depth, depth_mlp) for _ in range(3)
        )

    def forward(self, queries: Tensor, keys: Tensor, query_pe: Tensor, key_pe: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the updated tokens ``[B·D, n, C]`` and image ``[B·D, L, C]``."""
        if self.skip_first_layer_pe:
            queries = self.norm1(self.self_attn(q=queries, k=queries, v=queries))
        else:
            placed = queries + query_pe
            queries = self.norm1(queries + self.self_attn(q=placed, k=placed, v=queries))
        added = self.cross_attn_token_to_image(q=queries + query_pe, k=keys + key_pe, v=keys)
        queries = self.norm2(queries + added + self._adapted(self.token_adapter, added))
        added = self.mlp(queries) + _PARALLEL * self._adapted(self.mlp_adapter, queries)
        queries = self.norm3(queries + added)
        added = self.cross_attn_image_to_token(q=keys + key_pe, k=queries + query_pe, v=queries)
        return queries, self.norm4(keys + added + self._adapted(self.image_adapter, added))

    def _adapted(self, adapter: nn.Module, x: Tensor) -> Tensor:
        return adapter(x.unflatten(0, (-1, self.depth))).flatten(0, 1)


class DepthMaskDecoder(MaskDecoder):
    """SAM's mask decoder for a batch of slices: the mask that SAM gives to clear prompts.

    Args:
        size: size of SAM.
        depth: slices D of a patch.
        depth_mlp: place of the depth MLPs in the adapters, or "none" for SAM's decoder as it is.
    """

    transformer: TwoWayTransformer

    def __init__(self, size: SamSize, depth: int, depth_mlp: str) -> None:
        transformer = two_way_transformer(size)
        if depth_mlp != "none":
            for number in range(len(transformer.layers)):
                transformer.layers[number] = DepthTwoWayBlock(size, depth, depth_mlp, first=number == 0)
        fuse_attention(transformer)
        super().__init__(
            transformer_dim=size.neck_width,
            transformer=transformer,
            num_multimask_outputs=SAMS_MASKS,
            iou_head_hidden_dim=size.neck_width,
        )

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - slices, not prompts, are its batch
        self, image: Tensor, image_pe: Tensor, tokens: Tensor, dense: Tensor
    ) -> Tensor:
        """Returns mask logits ``[N, 1, 4·h, 4·w]``.

        Args:
            image: embeddings ``[N, C, h, w]``.
            image_pe: position encoding ``[N, C, h, w]``.
            tokens: prompts ``[N, 3, C]``.
            dense: prompts ``[N, C, h, w]``.
        """
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight]).expand(len(image), -1, -1)
        out, read = self.transformer(image + dense, image_pe, torch.cat([own, tokens], dim=1))
        upscaled = self.output_upscaling(read.transpose(1, 2).reshape(image.shape))
        weights = self.output_hypernetworks_mlps[0](out[:, 1])
        return (weights[:, None] @ upscaled.flatten(2)).unflatten(2, upscaled.shape[2:])

    def unused(self, parameter: str) -> bool:
        """Returns whether a parameter has no part in the mask: SAM's other masks and its estimate of their quality."""
        others = tuple(f"output_hypernetworks_mlps.{number}." for number in range(1, SAMS_MASKS + 1))
        return parameter.startswith(("iou_prediction_head.", *others))
