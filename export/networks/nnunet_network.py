"""The two U-Nets of nnU-Net v2, plain and with a residual encoder, with the tensor names of its checkpoints.

Architecture: Isensee et al., Nature Methods 18 (2021) 203; the residual encoder, whose blocks follow ResNet-D, is that
of "nnU-Net Revisited" (MICCAI 2024). Built here, because nnU-Net itself imports whatever class the plans name.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ...runtime.errors import InputError
from .nnunet_plans import RESIDUAL, Architecture, ArchitectureArguments

_NORMS = {"InstanceNorm3d": nn.InstanceNorm3d, "BatchNorm3d": nn.BatchNorm3d}
_ACTIVATIONS = {"LeakyReLU": nn.LeakyReLU, "ReLU": nn.ReLU}
_ONE = (1, 1, 1)
_DUPLICATES = (".all_modules.", "decoder.encoder.")  # further names of the same tensors in a checkpoint
_SEGMENTATION = "decoder.seg_layers."


class UNet(nn.Module):
    """A U-Net; of its segmentation layers only that of full resolution.

    Args:
        architecture: as in the plans.
        num_classes: number of output channels.

    Raises:
        InputError: the architecture is neither of the two, or has layers that are not known here.
    """

    def __init__(self, architecture: Architecture, num_classes: int) -> None:
        super().__init__()
        layers = _Layers(architecture.arch_kwargs)
        self.encoder = _encoder(architecture, layers)
        self.decoder = _decoder(architecture.arch_kwargs, layers)
        self._head = str(architecture.arch_kwargs.n_stages - 2)
        head = nn.Conv3d(architecture.arch_kwargs.features_per_stage[0], num_classes, 1)
        self.decoder["seg_layers"] = nn.ModuleDict({self._head: head})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns logits [B, C, D, H, W] from [B, 1, D, H, W]."""
        if "stem" in self.encoder:
            x = self.encoder["stem"](x)
        skips: list[torch.Tensor] = []
        for stage in self.encoder["stages"].children():
            x = stage(x)
            skips.append(x)
        ups, stages = self.decoder["transpconvs"].children(), self.decoder["stages"].children()
        for up, stage, skip in zip(ups, stages, skips[-2::-1], strict=True):
            x = stage(torch.cat((up(x), skip), 1))
        return self.decoder["seg_layers"].get_submodule(self._head)(x)

    def name_of(self, tensor: str) -> str | None:
        """Returns the name in this network of a tensor of the checkpoint; None for one that it does not need.

        Not needed are second names of a tensor, and the segmentation layers of lower resolutions, which deep
        supervision trains.
        """
        lower = tensor.startswith(_SEGMENTATION) and not tensor.startswith(f"{_SEGMENTATION}{self._head}.")
        return None if lower or any(part in tensor for part in _DUPLICATES) else tensor


class _Layers:
    """Makes the layers of one network: convolution, norm, activation."""

    def __init__(self, arguments: ArchitectureArguments) -> None:
        _known({"Conv3d": nn.Conv3d}, "conv_op", arguments.conv_op)
        self._norm = _known(_NORMS, "norm_op", arguments.norm_op)
        self._activation = _known(_ACTIVATIONS, "nonlin", arguments.nonlin)
        self._arguments = arguments

    def layer(
        self, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int] = _ONE, *, bias: bool = True
    ) -> nn.Sequential:
        padding = _triple([(size - 1) // 2 for size in kernel])
        bias = bias and self._arguments.conv_bias
        convolution = nn.Conv3d(inputs, outputs, _triple(kernel), _triple(stride), padding, bias=bias)
        try:
            norm = self._norm(outputs, **(self._arguments.norm_op_kwargs or {}))
        except TypeError as error:
            raise InputError(f"plans.json: norm_op_kwargs: {error}") from None
        return nn.Sequential(OrderedDict(conv=convolution, norm=norm))

    def activated(
        self, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int] = _ONE
    ) -> nn.Sequential:
        layer = self.layer(inputs, outputs, kernel, stride)
        layer.append(self.activation())
        return layer

    def activation(self) -> nn.Module:
        try:
            return self._activation(**(self._arguments.nonlin_kwargs or {}))
        except TypeError as error:
            raise InputError(f"plans.json: nonlin_kwargs: {error}") from None


class _Block(nn.Module):
    """A residual block of ResNet-D: where the size changes, the skip pools by averages and then projects."""

    def __init__(
        self, layers: _Layers, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int]
    ) -> None:
        super().__init__()
        self.conv1 = layers.activated(inputs, outputs, kernel, stride)
        self.conv2 = layers.layer(outputs, outputs, kernel)
        self.nonlin2 = layers.activation()
        self.skip = nn.Sequential()
        if any(step != 1 for step in stride):
            self.skip.append(nn.AvgPool3d(_triple(stride), _triple(stride)))
        if inputs != outputs:
            self.skip.append(layers.layer(inputs, outputs, _ONE, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the sum of both branches, activated."""
        return self.nonlin2(self.conv2(self.conv1(x)) + self.skip(x))


def _encoder(architecture: Architecture, layers: _Layers) -> nn.ModuleDict:
    arguments, residual = architecture.arch_kwargs, architecture.kind == RESIDUAL
    encoder, stages = nn.ModuleDict(), nn.ModuleList()
    inputs = 1
    if residual:
        inputs = arguments.features_per_stage[0]
        encoder["stem"] = _named("convs", [layers.activated(1, inputs, arguments.kernel_sizes[0])])
    for repeats, outputs, kernel, stride in zip(
        architecture.repeats, arguments.features_per_stage, arguments.kernel_sizes, arguments.strides, strict=True
    ):
        sizes = [(inputs, stride), *[(outputs, _ONE)] * (repeats - 1)]
        if residual:
            stages.append(_named("blocks", [_Block(layers, size, outputs, kernel, step) for size, step in sizes]))
        else:
            convolutions = [layers.activated(size, outputs, kernel, step) for size, step in sizes]
            stages.append(nn.Sequential(_named("convs", convolutions)))
        inputs = outputs
    encoder["stages"] = stages
    return encoder


def _decoder(arguments: ArchitectureArguments, layers: _Layers) -> nn.ModuleDict:
    ups, stages = nn.ModuleList(), nn.ModuleList()
    features = arguments.features_per_stage
    upwards = reversed(range(arguments.n_stages - 1))
    for stage, convolutions in zip(upwards, arguments.n_conv_per_stage_decoder, strict=True):
        outputs, stride = features[stage], _triple(arguments.strides[stage + 1])
        ups.append(nn.ConvTranspose3d(features[stage + 1], outputs, stride, stride, bias=arguments.conv_bias))
        sizes = [2 * outputs, *[outputs] * (convolutions - 1)]
        kernel = arguments.kernel_sizes[stage]
        stages.append(_named("convs", [layers.activated(size, outputs, kernel) for size in sizes]))
    return nn.ModuleDict({"transpconvs": ups, "stages": stages})


def _known(table: dict[str, Any], field: str, value: str) -> Any:
    name = value.rpartition(".")[2]
    if name not in table:
        raise InputError(f"plans.json: {field} {name} has no translation; expected {' or '.join(table)}")
    return table[name]


def _named(name: str, modules: Sequence[nn.Module]) -> nn.Sequential:
    """Returns the modules as one, with the name that precedes theirs in the checkpoint."""
    return nn.Sequential(OrderedDict({name: nn.Sequential(*modules)}))


def _triple(sizes: Sequence[int]) -> tuple[int, int, int]:
    first, second, third = sizes
    return first, second, third
