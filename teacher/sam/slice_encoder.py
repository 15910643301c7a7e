"""SAM's image encoder, slice by slice; slices pass in batches of a chosen size."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from segment_anything.modeling.image_encoder import Block, ImageEncoderViT
from torch import Tensor, nn

from ..recompute import recomputed
from .sizes import PLANE_TABLE, SAM_PATCH, WINDOW, SamSize
from .slice_attention import SliceAttention

_EPS = 1e-6  # SAM's


class _LayerNorm(nn.LayerNorm):
    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_EPS)


class SliceBlock(Block):
    """A block of SAM's image encoder.

    For the gradient it keeps the tokens before the attention and before the MLP; the rest is computed twice.

    Args:
        size: size of the encoder.
        index: number of the block, from 0.
    """

    def __init__(self, size: SamSize, index: int) -> None:
        super().__init__(size.width, size.heads, norm_layer=_LayerNorm)
        window = 0 if index in size.global_blocks else WINDOW
        self.attn = SliceAttention(size.width, size.heads, table=size.table_size(index), window=window)

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[N, h, w, C]`` for tokens ``[N, h, w, C]`` of N slices."""
        x = x + self.attended(x)
        return x + recomputed(lambda tokens: self.mlp(self.norm2(tokens)), x)

    def attended(self, x: Tensor) -> Tensor:
        """Returns what attention adds to the tokens ``[N, h, w, C]``."""
        return self.attn.proj(recomputed(lambda tokens: self.attn.mixed(self.norm1(tokens)), x))


class SliceEncoder(ImageEncoderViT):
    """SAM's image encoder for slices of any size; parameters have SAM's names and shapes.

    Slices are enlarged bilinearly and repeated to three channels. SAM's 64×64 position table is interpolated to the
    tokens of a slice, as its relative tables are.

    Args:
        size: size of the encoder.
        enlarge: pixels per voxel along each side, 1, 2 or 4.
        batch: slices that pass at once.
        checkpoint_activations: whether to keep only the tokens between blocks, and recompute every block in the
            backward pass.
        block: makes a block of a size and a number, a `SliceBlock` or one with additions.
    """

    def __init__(
        self,
        size: SamSize,
        *,
        enlarge: int,
        batch: int,
        checkpoint_activations: bool = False,
        block: Callable[[SamSize, int], SliceBlock] = SliceBlock,
    ) -> None:
        super().__init__(
            img_size=PLANE_TABLE * SAM_PATCH,
            embed_dim=size.width,
            depth=0,
            out_chans=size.neck_width,
        )
        self.blocks = nn.ModuleList(block(size, index) for index in range(size.depth))
        self.enlarge = enlarge
        self.batch = batch
        self.checkpoint_activations = checkpoint_activations
        self._reset_tables()

    def _reset_tables(self) -> None:
        """Fills the position tables with random values, for an encoder without a checkpoint."""
        nn.init.trunc_normal_(self.position_table, std=0.02)
        for module in self.modules():
            if isinstance(module, SliceAttention):
                nn.init.trunc_normal_(module.rel_pos_h, std=0.02)
                nn.init.trunc_normal_(module.rel_pos_w, std=0.02)

    @property
    def position_table(self) -> nn.Parameter:
        """SAM's position table, ``[1, 64, 64, C]``."""
        return self.get_parameter("pos_embed")

    def position(self, h: int, w: int) -> Tensor:
        """Returns the position embedding ``[1, h, w, C]``."""
        table = self.position_table.permute(0, 3, 1, 2)
        if table.shape[2:] != (h, w):
            table = F.interpolate(table, size=(h, w), mode="bilinear", align_corners=False)
        return table.permute(0, 2, 3, 1)

    def enlarged(self, x: Tensor) -> Tensor:
        """Returns images ``[N, 3, H·enlarge, W·enlarge]`` of slices ``[N, 1, H, W]``."""
        pixels = F.interpolate(x, scale_factor=self.enlarge, mode="bilinear", align_corners=False)
        return pixels.expand(-1, 3, -1, -1)

    def embedded(self, images: Tensor) -> Tensor:
        """Returns tokens ``[N, h, w, C]`` with their position, of images ``[N, 3, 16·h, 16·w]``."""
        tokens = self.patch_embed(images)
        return tokens + self.position(*tokens.shape[1:3])

    def forward(self, x: Tensor) -> Tensor:
        """Returns maps ``[N, neck width, h, w]`` of slices ``[N, 1, H, W]``; a token is 16 / ``enlarge`` voxels."""
        return torch.cat([self._encode(part) for part in x.split(self.batch)])

    def _encode(self, x: Tensor) -> Tensor:
        tokens = self.embedded(self.enlarged(x))
        for block in self.blocks:
            tokens = recomputed(block, tokens, enabled=self.checkpoint_activations)
        return self.neck(tokens.permute(0, 3, 1, 2))
