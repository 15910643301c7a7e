"""The auto prompt generator: a light 3D U-Net in place of points and boxes (section 3.3, Fig. 2C).

Equals `reference.generate_prompt`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...runtime.axes import DHW

_SMALLEST_TO_HALVE = 4


class ConvNormRelu(nn.Sequential):
    """Conv 3³ without bias, instance norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Conv3d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.InstanceNorm3d(channels_out),
            nn.ReLU(inplace=True),
        )


class _Level(nn.Sequential):
    """Two convolutions at one resolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(ConvNormRelu(channels_in, channels_out), ConvNormRelu(channels_out, channels_out))


def pooling_strides(tokens: DHW, steps: int) -> list[DHW]:
    """Returns the stride per axis of every pooling step: 2 as long as at least 2 tokens remain, else 1.

    32³ tokens are halved four times, to 2³, as in the paper. A smaller patch keeps all five levels (and every
    parameter), but its axes stop at 2 tokens: instance norm needs more than one voxel.

    >>> print(*pooling_strides(DHW(32, 8, 8), 4))
    (2, 2, 2) (2, 2, 2) (2, 1, 1) (2, 1, 1)
    """
    strides: list[DHW] = []
    for _ in range(steps):
        stride = DHW(*(2 if size >= _SMALLEST_TO_HALVE else 1 for size in tokens))
        strides.append(stride)
        tokens = DHW(*(size // step for size, step in zip(tokens, stride, strict=True)))
    return strides


class AutoPromptGenerator(nn.Module):
    """Five-level U-Net: max-pooling down, trilinear interpolation and concatenation up, 1³ convolution out.

    Args:
        channels: channels of the encoder map, and of the prompt.
        widths: channels of the levels, finest first.
        tokens: size of the encoder map.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], tokens: DHW) -> None:
        super().__init__()
        self.strides = pooling_strides(tokens, len(widths) - 1)
        self.down = nn.ModuleList(
            _Level(before, after) for before, after in zip((channels, *widths), widths, strict=False)
        )
        self.up = nn.ModuleList(
            _Level(below + here, here) for here, below in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.out = nn.Conv3d(widths[0], channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the prompt ``[B, C, D, H, W]`` of an encoder map ``[B, C, D, H, W]``."""
        x = self.down[0](x)
        skips: list[Tensor] = []
        for stride, level in zip(self.strides, list(self.down)[1:], strict=True):
            skips.append(x)
            x = level(F.max_pool3d(x, stride, stride))
        for level in self.up:
            skip = skips.pop()
            x = F.interpolate(x, size=skip.shape[2:], mode="trilinear", align_corners=False)
            x = level(torch.cat([x, skip], dim=1))
        return self.out(x)
