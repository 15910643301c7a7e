"""What a convolution holds besides its tensors while it computes on a CPU, in float32 with torch 2.14 and oneDNN."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)
"""The operators that `convolution_workspace` knows."""

_CHANNEL_BLOCK = 16  # oneDNN stores channels in blocks of so many


def convolution_workspace(operator: Any, args: tuple[Any, ...], result: Any) -> int:
    """Returns the bytes that one of `CONVOLUTIONS` allocates and releases again, as measured on a CPU.

    oneDNN copies its operands into blocks of 16 channels: going forward it holds the larger of input and output, twice
    the output if it is transposed; going backward it holds both. Where torch computes a 3D convolution itself, which it
    does for small inputs, it unfolds the input: a column of C·k³ numbers for every output voxel.

    Args:
        operator: the operator.
        args: its arguments.
        result: what it returned.
    """
    if operator is CONVOLUTIONS[0]:
        (inputs, weight, _, *settings), outputs, backward = args, result, False
    else:
        (outputs, inputs, weight, _, *settings), backward = args[:10], True
    transposed = settings[3]
    if _computes_itself(inputs, weight, settings):
        columns = math.prod(weight.shape[1:]) * math.prod(outputs.shape[2:])
        return columns * inputs.element_size() if math.prod(weight.shape[2:]) > 1 else 0
    sizes = _blocked_bytes(inputs), _blocked_bytes(outputs)
    if backward:
        return sum(sizes)
    return 2 * sizes[1] if transposed else max(sizes)


def _computes_itself(inputs: Tensor, weight: Tensor, settings: list[Any]) -> bool:
    stride, padding, dilation, transposed, output_padding, groups = settings[:6]
    chosen = torch._C._select_conv_backend(  # pyright: ignore[reportPrivateUsage] - torch's choice has no public name
        inputs, weight, None, stride, padding, dilation, transposed, output_padding, groups, None
    )
    return chosen.name == "Slow3d"


def _blocked_bytes(tensor: Tensor) -> int:
    batch, channels, *sizes = tensor.shape
    blocks = math.ceil(channels / _CHANNEL_BLOCK) * _CHANNEL_BLOCK
    return batch * blocks * math.prod(sizes) * tensor.element_size()
