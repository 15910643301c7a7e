"""Keeps convolutions over fewer voxels than their kernel in float32 on CPUs: in bfloat16 their gradients are wrong."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def keep_small_in_float32(model: nn.Module) -> None:
    """Makes convolutions over fewer voxels than their kernel, along any axis, compute in float32 under autocast.

    In bfloat16 oneDNN's weight gradient of such a layer, say 3×3×3 over two slices, holds what its memory held before:
    zeros in one step, 1e30 in the next; larger kernels also wrote past their memory ("double free or corruption"). Seen
    with torch 2.14 on a processor with AVX-512 and bfloat16 but no AMX. Outputs and gradients of the input were sound,
    and so were all gradients where no axis is shorter than the kernel and no stride larger. Layers that small take
    little time. benchmarks/training_speed has the figures.

    The layers' own class changes, in place: a context around the forward pass would not reach what activation
    checkpointing computes again. Without autocast they compute what they did; names, shapes and values stay the same.

    Subclasses of torch's own layers stay as they are; `check_precision` judges the network as a whole.

    Args:
        model: network on a CPU.
    """
    for module in model.modules():
        if type(module) in _CLASSES:
            module.__class__ = _CLASSES[type(module)]


class _Convolution2d(nn.Conv2d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch names it so
        return _forward(self, super().forward, input)


class _Convolution3d(nn.Conv3d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        return _forward(self, super().forward, input)


_CLASSES: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: _Convolution2d, nn.Conv3d: _Convolution3d}


def _forward(
    layer: nn.Conv2d | nn.Conv3d, forward: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor
) -> torch.Tensor:
    kernel = layer.kernel_size
    if all(voxels >= edge for voxels, edge in zip(image.shape[-len(kernel) :], kernel, strict=True)):
        return forward(image)
    with torch.autocast(image.device.type, enabled=False):
        return forward(image.to(layer.weight.dtype))
