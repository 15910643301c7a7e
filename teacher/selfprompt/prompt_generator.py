"""The prompt generator: auxiliary masks of all classes from maps of the image encoder.

Source: Self-Prompt-SAM, section 3.2, equation 1 (MSPGenerator), and ablation S1 (stacked CNNs).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..recompute import recomputed
from ..sam.sizes import SAM_PATCH, SamSize
from .depth_encoder import MAPS
from .volume_adapters import LEAK, start_as_he


class PromptGenerator(nn.Module):
    """A decoder of convolutions that begins with the deepest map and joins a shallower one at every level.

    The last levels double rows and columns, up to the size of the patch: of four levels two with 4 pixels per voxel,
    three with 2 or 1; with 1 the logits are doubled once more. Every level has auxiliary logits of its own.

    Args:
        size: size of the encoder; the levels' channels are its `prompt_widths`.
        classes: number of masks, background included.
        enlarge: pixels per voxel along each side, 1, 2 or 4.
        multi_scale: whether the shallower maps are joined; otherwise the levels follow the deepest map alone and the
            last one has the only logits.
        recompute: whether to drop the levels' activations, and recompute them in the backward pass.
    """

    def __init__(self, size: SamSize, classes: int, enlarge: int, *, multi_scale: bool, recompute: bool) -> None:
        super().__init__()
        widths = size.prompt_widths[:MAPS][::-1]
        doublings = (SAM_PATCH // enlarge).bit_length() - 1
        scales = [max(0, min(doublings, MAPS - 1) - (MAPS - 1 - level)) for level in range(MAPS)]
        self.laterals = nn.ModuleList(
            _enlarging(size.width, width, scale)
            for width, scale in list(zip(widths, scales, strict=True))[: None if multi_scale else 1]
        )
        self.ups = nn.ModuleList(
            _enlarging(widths[level - 1], widths[level], scales[level] - scales[level - 1]) for level in range(1, MAPS)
        )
        joined = 2 if multi_scale else 1
        self.levels = nn.ModuleList(
            _Convolutions(width * (joined if level else 1), width) for level, width in enumerate(widths)
        )
        self.heads = nn.ModuleList(nn.Conv3d(width, classes, 1) for width in (widths if multi_scale else widths[-1:]))
        self.rest = 2 ** (doublings - scales[-1])
        self.recompute = recompute
        start_as_he(self)

    def forward(self, maps: Sequence[Tensor], *, all_levels: bool) -> tuple[Tensor, ...]:
        """Returns auxiliary logits ``[B, classes, D, rows, columns]``, finest first; the finest have the patch's size.

        Args:
            maps: tokens ``[B, D, h, w, C]``, shallowest first.
            all_levels: whether the logits of all levels are wanted, or the finest alone.
        """
        volumes = [tokens.permute(0, 4, 1, 2, 3) for tokens in reversed(maps)]
        states = [recomputed(self._first, volumes[0], enabled=self.recompute)]
        for level in range(1, MAPS):
            states.append(recomputed(self._joined(level, volumes[level]), states[-1], enabled=self.recompute))
        states = states[-len(self.heads) :]
        wanted = slice(None) if all_levels else slice(-1, None)
        logits = [head(state) for head, state in list(zip(self.heads, states, strict=True))[wanted]]
        if self.rest > 1:
            logits[-1] = F.interpolate(logits[-1], scale_factor=(1, self.rest, self.rest), mode="trilinear")
        return tuple(reversed(logits))

    def _first(self, volume: Tensor) -> Tensor:
        return self.levels[0](self.laterals[0](volume))

    def _joined(self, level: int, volume: Tensor) -> Callable[[Tensor], Tensor]:
        def step(before: Tensor) -> Tensor:
            state = self.ups[level - 1](before)
            if level < len(self.laterals):
                state = torch.cat([state, self.laterals[level](volume)], dim=1)
            return self.levels[level](state)

        return step


class _Convolutions(nn.Sequential):
    """Two 3³ convolutions, each with instance norm and LeakyReLU, as nnU-Net has them."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        for inputs in (channels, width):
            self.append(nn.Conv3d(inputs, width, 3, padding=1, bias=False))
            self.append(nn.InstanceNorm3d(width, affine=True))
            self.append(nn.LeakyReLU(LEAK, inplace=True))


def _enlarging(channels: int, width: int, doublings: int) -> nn.Module:
    """Returns layers that double rows and columns some times, or a 1³ convolution for none."""
    if not doublings:
        return nn.Conv3d(channels, width, 1)
    inputs = [channels, *[width] * (doublings - 1)]
    return nn.Sequential(*(nn.ConvTranspose3d(each, width, (1, 2, 2), stride=(1, 2, 2)) for each in inputs))
