"""Convolutions of an edge U-Net with batch normalisation, which fuse into single convolutions for deployment."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

_KERNEL = 3
_SLOPE = 0.1  # of LeakyReLU below zero


class ConvolutionBlock(nn.Module):
    """A 3×3×3 convolution without bias, batch normalisation and LeakyReLU.

    With branches it trains as the sum of the convolution, a 1×1×1 convolution and, where input and output have one
    size, the identity, each with a batch normalisation of its own. As all are linear, they fuse into one 3×3×3
    convolution: Ding et al., "RepVGG" (CVPR 2021, arXiv:2101.03697), section 3.2 and figure 4.

    Args:
        before: input channels.
        after: output channels.
        stride: stride of the convolution.
        branches: whether to train with branches.
        activation: whether LeakyReLU follows.
    """

    def __init__(
        self, before: int, after: int, *, stride: int = 1, branches: bool = False, activation: bool = True
    ) -> None:
        super().__init__()
        kernels = (_KERNEL, 1) if branches else (_KERNEL,)
        self.convolutions = nn.ModuleList(
            nn.Conv3d(before, after, kernel, stride, padding=kernel // 2, bias=False) for kernel in kernels
        )
        self.norms = nn.ModuleList(nn.BatchNorm3d(after) for _ in kernels)
        self.identity = nn.BatchNorm3d(after) if branches and before == after and stride == 1 else None
        self.activation = nn.LeakyReLU(_SLOPE, inplace=True) if activation else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns features ``[B, after, D/stride, H/stride, W/stride]`` of ``[B, before, D, H, W]``."""
        branches = [norm(convolution(x)) for convolution, norm in zip(self.convolutions, self.norms, strict=True)]
        if self.identity is not None:
            branches.append(self.identity(x))
        return self.activation(sum(branches[1:], branches[0]))

    def fused(self) -> nn.Module:
        """Returns one convolution with bias, and the activation: the same in evaluation mode."""
        first = cast("nn.Conv3d", self.convolutions[0])
        single = nn.Conv3d(first.in_channels, first.out_channels, _KERNEL, first.stride[0], padding=_KERNEL // 2)
        branches = [
            _kernel_and_bias(cast("nn.Conv3d", convolution).weight, cast("nn.BatchNorm3d", norm))
            for convolution, norm in zip(self.convolutions, self.norms, strict=True)
        ]
        if self.identity is not None:
            unchanged = nn.init.dirac_(torch.empty_like(first.weight[..., :1, :1, :1]))
            branches.append(_kernel_and_bias(unchanged, self.identity))
        single.weight = nn.Parameter(torch.stack([kernel for kernel, _ in branches]).sum(0))
        single.bias = nn.Parameter(torch.stack([bias for _, bias in branches]).sum(0))
        return nn.Sequential(single, self.activation)


def _kernel_and_bias(weight: torch.Tensor, norm: nn.BatchNorm3d) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns weights ``[C', C, 3, 3, 3]`` and bias ``[C']`` of a convolution and the normalisation behind it.

    Args:
        weight: ``[C', C, k, k, k]``, k = 1 or 3.
        norm: normalisation of C' channels, with running statistics and an affine map.
    """
    mean, variance = cast("torch.Tensor", norm.running_mean), cast("torch.Tensor", norm.running_var)
    kernel, bias = fuse_conv_bn_weights(weight, None, mean, variance, norm.eps, norm.weight, norm.bias)
    margin = (_KERNEL - weight.shape[-1]) // 2
    return F.pad(kernel.detach(), (margin,) * 6), bias.detach()


class ResidualBlock(nn.Module):
    """Two convolutions and the identity beside them: He et al., "Deep Residual Learning" (CVPR 2016), figure 2."""

    def __init__(self, channels: int, *, branches: bool = False) -> None:
        super().__init__()
        self.first = ConvolutionBlock(channels, channels, branches=branches)
        self.second = ConvolutionBlock(channels, channels, branches=branches, activation=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns features of the shape of ``x``, ``[B, C, D, H, W]``."""
        return F.leaky_relu(x + self.second(self.first(x)), _SLOPE)
