"""The light mask decoder with multi-layer aggregation (MLAM, section 3.4).

Equals `plain.decode`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .prompt_generator import ConvNormRelu
from .upsample_concat_conv import UpsampleConcatConv3d


class _Head(nn.Sequential):
    """Two convolutions that prepare one encoder map, or the prompt, for aggregation."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(ConvNormRelu(channels, width), ConvNormRelu(width, width))


class _Fusion(nn.Sequential):
    """Conv 3³, instance norm and ReLU over the doubled maps and the halved image."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(UpsampleConcatConv3d(channels, 1, width), nn.InstanceNorm3d(width), nn.ReLU(inplace=True))

    def forward(self, maps: Tensor, image: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        convolution, norm, activation = self
        return activation(norm(convolution(maps, image)))


class MaskDecoder(nn.Module):
    """Aggregates encoder maps and the prompt at half resolution, together with the image itself.

    Args:
        channels: channels of every map.
        width: channels inside the decoder.
        maps: number of aggregated maps, the prompt included.
        num_classes: output channels.
    """

    def __init__(self, channels: int, width: int, maps: int, num_classes: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(_Head(channels, width) for _ in range(maps))
        self.fuse = _Fusion(maps * width, width)
        self.classify = nn.Conv3d(width, num_classes, 3, padding=1, bias=False)

    def forward(self, maps: list[Tensor], image: Tensor) -> Tensor:
        """Returns logits ``[B, classes, D, H, W]``.

        Args:
            maps: each ``[B, channels, D/4, H/4, W/4]``, the prompt last.
            image: ``[B, 1, D, H, W]``.
        """
        heads = [head(features) for head, features in zip(self.heads, maps, strict=True)]
        half_image = F.avg_pool3d(image, 2)  # equals trilinear interpolation by ½
        logits = self.classify(self.fuse(torch.cat(heads, dim=1), half_image))
        return F.interpolate(logits, scale_factor=2, mode="trilinear", align_corners=False)
