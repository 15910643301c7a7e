"""What stands before SAM and after it: scans made SAM's images, and SAM's masks made classes.

Source: Self-Prompt-SAM, sections 3.1 and 3.2.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..recompute import recomputed
from .depth_encoder import by_slices

_WIDTH, _WIDE = 16, 32
_COLOURS = 3
_RATIO = 4

LEAK = 0.01
"""Slope of nnU-Net's LeakyReLU below zero."""


class ModalityAdapter(nn.Module):
    """Learns to enlarge the slices of a patch to images of three channels (the paper's MAdapter).

    A convolution sees neighbouring slices too; all that is enlarged is computed slice by slice, and twice. The last
    norm gives each channel of a patch mean 0 and variance 1, which SAM's own images have about.

    Args:
        enlarge: pixels per voxel along each side, 1, 2 or 4.
        batch: slices that pass at once.
    """

    def __init__(self, enlarge: int, batch: int) -> None:
        super().__init__()
        self.volume = nn.Conv3d(1, _WIDTH, 3, padding=1)
        doublings = enlarge.bit_length() - 1
        widths = [*[_WIDTH] * doublings, _WIDE]
        self.enlargement = nn.Sequential()
        for number in range(doublings):
            self.enlargement.append(nn.ConvTranspose2d(widths[number], widths[number + 1], 2, stride=2))
            self.enlargement.append(nn.GELU())
        self.colours = nn.Sequential(
            nn.Conv2d(_WIDE if doublings else _WIDTH, _WIDE, 1),
            nn.GELU(),
            nn.Conv2d(_WIDE, _COLOURS, 3, padding=1, bias=False),
        )
        self.norm = nn.InstanceNorm3d(_COLOURS, affine=True)
        self.batch = batch
        start_as_he(self)

    def forward(self, x: Tensor) -> Tensor:
        """Returns images ``[B, D, 3, H·enlarge, W·enlarge]`` of patches ``[B, 1, D, H, W]``."""
        slices = self.volume(x).transpose(1, 2)
        images = by_slices(lambda part: recomputed(self._images, part), slices, self.batch)
        return self.norm(images.transpose(1, 2)).transpose(1, 2)

    def _images(self, slices: Tensor) -> Tensor:
        return self.colours(self.enlargement(F.gelu(slices)))


class ClassAdapter(nn.Module):
    """Makes logits of all classes from the masks of each (the paper's MC-Adapter).

    SAM's masks are trained with a sigmoid each, so that their values cannot be compared with each other. For the
    gradient the wide tensor is kept once, before its norm.

    Args:
        classes: number N of classes, background included.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.widen = nn.Conv3d(classes, _RATIO * classes, 3, padding=1, bias=False)
        self.norm = nn.InstanceNorm3d(_RATIO * classes, affine=True)
        self.join = nn.Conv3d(_RATIO * classes, classes, 1)
        start_as_he(self)

    def forward(self, masks: Tensor) -> Tensor:
        """Returns logits ``[B, N, D, H, W]`` of masks ``[B, N, D, H, W]``."""
        return recomputed(lambda wide: self.join(F.gelu(self.norm(wide))), self.widen(masks))


def start_as_he(module: nn.Module) -> None:
    """Starts the convolutions inside a module as He et al. and nnU-Net do, so that no layer shrinks its input."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
            nn.init.kaiming_normal_(layer.weight, a=LEAK)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
