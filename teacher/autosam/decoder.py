"""The light mask decoder with multi-layer aggregation (MLAM, section 3.4).

Equals `reference.decode`. The fusing 3³ convolution of maps enlarged ×2 is computed before they are enlarged: an eighth
of the work, the same result. Enlarging mixes voxels, the convolution's weights mix channels, and the two commute. So
each of the 27 taps mixes the channels of the small map; the result is enlarged, shifted by the tap's offset and summed,
which along each axis is one product with a constant matrix. The large map is never stored.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .prompt_generator import ConvNormRelu

TAPS = 3


def tap_matrices(size: int) -> Tensor:
    """Returns the three taps' interpolation matrices ``[3, 2·size, size]`` for an axis of ``size`` voxels.

    Row p of tap j holds the weights of the small voxels that make up large voxel p + j − 1, as
    ``F.interpolate(align_corners=False)`` gives them; zeros outside the map, like the convolution's padding.
    """
    doubled = F.interpolate(torch.eye(size, dtype=torch.float64)[None], scale_factor=2, mode="linear")[0].T
    padded = F.pad(doubled, (0, 0, 1, 1))
    return torch.stack([padded[tap : tap + 2 * size] for tap in range(TAPS)])


class UpsampleConcatConv3d(nn.Conv3d):
    """Conv 3³ without bias of small maps, doubled by trilinear interpolation, and a map of the doubled size.

    Args:
        small_channels: channels of the small maps.
        large_channels: channels of the large map; its weights follow those of the small maps.
        channels_out: output channels.
    """

    def __init__(self, small_channels: int, large_channels: int, channels_out: int) -> None:
        super().__init__(small_channels + large_channels, channels_out, TAPS, padding=1, bias=False)
        self.small_channels = small_channels

    def forward(self, small: Tensor, large: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Returns ``[B, C, 2D, 2H, 2W]`` for maps ``[B, small, D, H, W]`` and ``[B, large, 2D, 2H, 2W]``."""
        along_d, along_h, along_w = (tap_matrices(size).to(small) for size in small.shape[2:])
        columns = small.flatten(2)
        out = F.conv3d(large, self.weight[:, self.small_channels :], padding=1)
        for d in range(TAPS):
            planes = torch.zeros((), dtype=small.dtype, device=small.device)
            for h in range(TAPS):
                mixed = self._mix_channels(columns, d, h).unflatten(-1, small.shape[2:])
                wide = mixed[:, 0] @ along_w[0].T + mixed[:, 1] @ along_w[1].T + mixed[:, 2] @ along_w[2].T
                planes = planes + along_h[h] @ wide  # [B, C, D, 2H, 2W]
            out = out + (along_d[d] @ planes.flatten(3)).unflatten(-1, out.shape[-2:])
        return out

    def _mix_channels(self, columns: Tensor, d: int, h: int) -> Tensor:
        """Returns the small map's channels mixed by the three taps along W of one kernel row: ``[B, 3, C, D·H·W]``."""
        kernel = self.weight[:, : self.small_channels, d, h].permute(2, 0, 1).flatten(0, 1)
        return torch.bmm(kernel.expand(len(columns), -1, -1), columns).unflatten(1, (TAPS, -1))


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
