"""A plain 3D U-Net that is fast on CPUs and in TensorRT: strided stem, few channels in the decoder, sub-pixel head."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from .convolution_blocks import ConvolutionBlock, ResidualBlock
from .edge_unet_design import EdgeUNetDesign


class EdgeUNet(nn.Module):
    """A U-Net of dense 3×3×3 convolutions with batch normalisation, which become single convolutions on export.

    Where the time of a U-Net goes, and what is done about it:

    - Most operations are those at full resolution. A stem with stride 2 leaves an eighth of the voxels, and the last
      layer, a transposed convolution whose kernel is the stem's stride, computes the logits of every voxel of such a
      2×2×2 block from its features: the sub-pixel convolution of Shi et al. (CVPR 2016, arXiv:1609.05158), section 3.2.
    - The decoder has fewer channels than the encoder's levels beside it: EffiDec3D, Rahman et al. (CVPR 2025).
    - Strided convolutions go down and transposed ones up, so that nothing is pooled or interpolated; channels are
      multiples of 8, and no convolution is grouped.

    Source of the shape: Çiçek et al., "3D U-Net" (MICCAI 2016, arXiv:1606.06650); concatenation with the encoder's
    level, then one convolution.

    Args:
        num_classes: output channels.
        design: sizes of the network.
    """

    def __init__(self, num_classes: int, design: EdgeUNetDesign) -> None:
        super().__init__()
        strides = (design.stem_stride, *(2 for _ in design.channels[1:]))
        self.encoder = nn.ModuleList(
            _encoder_level(before, after, stride, blocks, design.branches)
            for (before, after), stride, blocks in zip(
                pairwise((1, *design.channels)), strides, design.blocks, strict=True
            )
        )
        coarser = (*design.decoder[1:], design.channels[-1])
        levels = zip(coarser, design.channels[:-1], design.decoder, strict=True)
        self.decoder = nn.ModuleList(
            _DecoderLevel(coarse, skip, width, design.branches) for coarse, skip, width in reversed([*levels])
        )
        self.head = _sub_pixel_head(design.decoder[0], num_classes, design.stem_stride)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Returns logits ``[B, C, D, H, W]`` of images ``[B, 1, D, H, W]``."""
        x = image
        skips: list[torch.Tensor] = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
        skips.pop()  # the coarsest features go up themselves
        for level in self.decoder:
            x = level(x, skips.pop())
        return self.head(x)


class _DecoderLevel(nn.Module):
    """Doubles the resolution of coarse features, concatenates the encoder's, and convolves both."""

    def __init__(self, coarse: int, skip: int, width: int, branches: bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(coarse, width, 2, stride=2, bias=False)
        self.convolution = ConvolutionBlock(width + skip, width, branches=branches)

    def forward(self, coarse: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        return self.convolution(torch.cat([self.up(coarse), skip], 1))


def _encoder_level(before: int, after: int, stride: int, blocks: int, branches: bool) -> nn.Module:
    first = ConvolutionBlock(before, after, stride=stride, branches=branches)
    if blocks:
        return nn.Sequential(first, *(ResidualBlock(after, branches=branches) for _ in range(blocks)))
    return nn.Sequential(first, ConvolutionBlock(after, after, branches=branches))


def _sub_pixel_head(channels: int, num_classes: int, stride: int) -> nn.Module:
    """Returns the last layer: logits of every voxel; of stride 1 it is a 1×1×1 convolution."""
    if stride == 1:
        return nn.Conv3d(channels, num_classes, 1)
    return nn.ConvTranspose3d(channels, num_classes, stride, stride=stride)
