"""Chooses the layout of a network's weights in memory; it changes speed and rounding, not what is computed."""

from __future__ import annotations

import torch
from torch import nn


def use_channels_last(model: nn.Module) -> bool:
    """Stores the weights of a purely convolutional network channels-last; leaves other networks as they are.

    oneDNN, with which torch convolves on CPUs, computes the gradients of 3D convolutions faster in this layout, and a
    convolution's output follows the layout of its weights. A transformer gains nothing: its convolutions would
    reorder what its matrix products leave behind. benchmarks/training_speed has the figures. Names, shapes and values
    of the weights stay the same; checkpoints are contiguous whatever the layout.

    Args:
        model: network on a CPU; its weights are whole, not sharded.

    Returns:
        Whether each weight with two dimensions or more is that of a 3D convolution.
    """
    convolutions = [module for module in model.modules() if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d))]
    weights = {id(module.weight) for module in convolutions}
    if not weights or any(weight.dim() > 1 and id(weight) not in weights for weight in model.parameters()):
        return False
    for module in convolutions:
        module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last_3d)
    return True
