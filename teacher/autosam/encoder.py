"""SAM's image encoder in three dimensions: tokens, position, blocks and the necks of its four stages.

Equals `reference.encode`; `SpatialAdapter` equals `reference.adapter`, `TransformerBlock` equals `reference.block`,
`Neck` equals `reference.neck`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...runtime.axes import DHW
from ..depth_axes import DEPTH_AXES, EncoderTriple
from ..recompute import recomputed
from ..sam.modules import MLPBlock
from ..sam.sizes import PLANE_TABLE, SamSize
from .attention import CubicWindowAttention
from .designs import Design
from .patch_embedding import TOKEN_VOXELS, VolumePatchEmbed

STAGES = 4
_EPS = 1e-6  # SAM's
_NEARLY_NOTHING = 1e-3
_PAPER_TOKENS = 32  # per axis of the paper's 128³ patch


class LayerNorm3d(nn.LayerNorm):
    """Layer norm over the channels of ``[B, C, D, H, W]`` (SAM's ``LayerNorm2d``, one dimension up)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_EPS)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name nn.LayerNorm gave it
        """Returns the normalised ``[B, C, D, H, W]``."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class SpatialAdapter(nn.Module):
    """``X + Act(Conv(Act(X W_down))) W_up`` with a depth-wise 3³ convolution (section 3.2, Fig. 2B).

    With ``start_as_sam`` the up-projection starts at a standard deviation of 1e-3: the block starts as SAM's, and yet
    all three layers receive a gradient from the first step on. (With exact zeros the first two layers would receive
    none; with exact zeros in front of the released code's last ReLU, no layer would ever receive one.)

    Args:
        width: token width C; the bottleneck is C / 2.
        last_relu: whether a ReLU precedes the residual sum, as in the released code but not in the paper's formula.
        start_as_sam: whether the adapter starts close to the identity; else with PyTorch's default weights.
    """

    def __init__(self, width: int, *, last_relu: bool, start_as_sam: bool) -> None:
        super().__init__()
        self.down = nn.Linear(width, width // 2)
        self.convolution = nn.Conv3d(width // 2, width // 2, 3, padding=1, groups=width // 2)
        self.up = nn.Linear(width // 2, width)
        self.last_relu = last_relu
        if start_as_sam:
            nn.init.normal_(self.up.weight, std=_NEARLY_NOTHING)
            nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[B, D, H, W, C]`` for tokens ``[B, D, H, W, C]``."""
        # Channels stay last and the ReLUs work in place, so that autograd keeps one tensor per step.
        hidden = F.relu(self.down(x), inplace=True).permute(0, 4, 1, 2, 3)
        hidden = F.relu(self.convolution(hidden).permute(0, 2, 3, 4, 1).contiguous(), inplace=True)
        change = self.up(hidden)
        return x + (torch.relu(change) if self.last_relu else change)


class TransformerBlock(nn.Module):
    """A SAM block with a spatial adapter at its entry; the first residual connection starts after the adapter.

    Args:
        size: size of the encoder.
        design: the paper's design or that of the released code.
        tokens: token counts.
        index: number of the block, from 0.
        recompute: whether to drop the intermediate tensors of adapter and attention, and recompute them in the
            backward pass.
    """

    def __init__(self, size: SamSize, design: Design, tokens: EncoderTriple, index: int, *, recompute: bool) -> None:
        super().__init__()
        self.adapter = SpatialAdapter(size.width, last_relu=design.adapter_last_relu, start_as_sam=design.start_as_sam)
        self.norm1 = nn.LayerNorm(size.width, eps=_EPS)
        self.attn = CubicWindowAttention(
            size.width,
            size.heads,
            tokens,
            shifted=index % 2 == 0,
            table_size=size.table_size(index),
            recompute=recompute,
        )
        self.norm2 = nn.LayerNorm(size.width, eps=_EPS)
        self.mlp = MLPBlock(size.width, 4 * size.width)
        self.recompute = recompute

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[B, D, H, W, C]`` for tokens ``[B, D, H, W, C]``."""
        x, normed = recomputed(self._adapted, x, enabled=self.recompute)
        x = x + self.attn(normed)
        return x + self.mlp(self.norm2(x))

    def _adapted(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the tokens after the adapter, plain and normalised: large to keep, cheap to recompute."""
        x = self.adapter(x)
        return x, self.norm1(x)


class Neck(nn.Sequential):
    """SAM's neck with 3D convolutions, trained from scratch ("bottleneck modifications", section 3.2)."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__(
            nn.Conv3d(width, channels, 1, bias=False),
            LayerNorm3d(channels),
            nn.Conv3d(channels, channels, 3, padding=1, bias=False),
            LayerNorm3d(channels),
        )

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name nn.Sequential gave it
        """Returns the map ``[B, channels, D, H, W]`` of tokens ``[B, D, H, W, C]``."""
        reduce, *rest = self
        # A 1³ convolution of tokens is a linear layer: it keeps the block's own output for the gradient, not a copy.
        x = F.linear(input, reduce.get_parameter("weight").flatten(1)).permute(0, 4, 1, 2, 3)
        for layer in rest:
            x = layer(x)
        return x


class VolumeEncoder(nn.Module):
    """SAM's image encoder for volumes.

    Parameter names are SAM's wherever the tensor is SAM's, so that a SAM checkpoint loads without a translation table.

    Args:
        size: size of the encoder.
        design: the paper's design or that of the released code.
        patch: voxels, each a multiple of 32.
        depth_axis: key of `DEPTH_AXES`.
        stages: stages to return, of 1…4 (stage k ends after block k·depth/4); only these have a neck.
        checkpoint_activations: whether to keep only the tokens between blocks, and recompute every block in the
            backward pass.
    """

    def __init__(
        self,
        size: SamSize,
        design: Design,
        patch: DHW,
        *,
        depth_axis: str,
        stages: tuple[int, ...],
        checkpoint_activations: bool = False,
    ) -> None:
        super().__init__()
        self.axes = DEPTH_AXES[depth_axis]
        d, h, w = (patch[axis] // TOKEN_VOXELS for axis in self.axes)
        self.tokens: EncoderTriple = (d, h, w)
        self.stage_blocks = size.depth // STAGES
        self.checkpoint_activations = checkpoint_activations
        self.patch_embed = VolumePatchEmbed(size.width, start_as_sam=design.start_as_sam)
        self.pos_embed = nn.Parameter(torch.empty(1, PLANE_TABLE, PLANE_TABLE, size.width))
        self.depth_embed = nn.Parameter(torch.full((1, d, size.width), design.depth_table_start))
        self.blocks = nn.ModuleList(
            TransformerBlock(size, design, self.tokens, index, recompute=not checkpoint_activations)
            for index in range(size.depth)
        )
        self.necks = nn.ModuleDict({str(stage): Neck(size.width, size.neck_width) for stage in sorted(stages)})
        self._reset_tables()

    def _reset_tables(self) -> None:
        """Fills the position tables with random values, for an encoder without a checkpoint."""
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for attention in self.attentions():
            nn.init.trunc_normal_(attention.rel_pos_h, std=0.02)
            nn.init.trunc_normal_(attention.rel_pos_w, std=0.02)
            attention.reset_depth_table()

    def attentions(self) -> list[CubicWindowAttention]:
        """Returns the attention of every block, first to last."""
        return [module for module in self.modules() if isinstance(module, CubicWindowAttention)]

    def position(self) -> Tensor:
        """Returns the position embedding of every token ``[1, d, h, w, C]``: SAM's plane table plus the depth table.

        SAM's 64×64 table is average-pooled to the 32×32 tokens of the paper's patch. A smaller patch uses the middle
        of these 32×32, so that neighbouring tokens stay as far apart as in the paper; along an axis of more than 32
        tokens the table is interpolated.
        """
        _, h, w = self.tokens
        plane = F.avg_pool2d(self.pos_embed.permute(0, 3, 1, 2), PLANE_TABLE // _PAPER_TOKENS)
        if max(h, w) > _PAPER_TOKENS:
            size = (max(h, _PAPER_TOKENS), max(w, _PAPER_TOKENS))
            plane = F.interpolate(plane, size=size, mode="bilinear", align_corners=False)
        top, left = (plane.shape[2] - h) // 2, (plane.shape[3] - w) // 2
        plane = plane[:, :, top : top + h, left : left + w].permute(0, 2, 3, 1)
        return plane[:, None] + self.depth_embed[:, :, None, None]

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Returns stage → map ``[B, neck width, D/4, H/4, W/4]`` of voxels ``[B, 1, D, H, W]``."""
        order = [2 + axis for axis in self.axes]
        back = [2 + self.axes.index(axis) for axis in range(3)]
        tokens = self.patch_embed(x.permute(0, 1, *order)) + self.position()
        maps: dict[int, Tensor] = {}
        for count, block in enumerate(self.blocks, start=1):
            tokens = recomputed(block, tokens, enabled=self.checkpoint_activations)
            stage, rest = divmod(count, self.stage_blocks)
            if rest == 0 and str(stage) in self.necks:
                neck = self.necks[str(stage)]
                maps[stage] = neck(tokens).permute(0, 1, *back)
        return maps
