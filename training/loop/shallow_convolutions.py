"""Keeps convolutions over one or two slices in float32 on CPUs, where their gradients in bfloat16 may be anything."""

from __future__ import annotations

import torch
from torch import nn

_MOST_SLICES = 2


def keep_shallow_in_float32(model: nn.Module) -> None:
    """Makes 3D convolutions over at most two slices compute in float32 where autocast would use another format.

    oneDNN's weight gradient of a 3×3×3 convolution over two slices, or of stride 2 over one, holds in bfloat16 what its
    memory held before: zeros in one step, 1e30 in the next. It was seen on processors with AVX-512 and bfloat16 without
    AMX, torch 2.14; three slices and more, outputs and gradients of the input were sound. Layers that shallow have few
    voxels, so that float32 costs next to nothing there. benchmarks/training_speed has the figures.

    The layers' own class changes, in place: a context around the forward pass would not reach what activation
    checkpointing computes again. Without autocast they compute what they did; names, shapes and values stay the same.

    Args:
        model: network on a CPU.
    """
    for module in model.modules():
        if type(module) is nn.Conv3d:
            module.__class__ = _Convolution


class _Convolution(nn.Conv3d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch names it so
        if input.shape[-3] > _MOST_SLICES:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.to(self.weight.dtype))
