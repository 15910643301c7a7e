"""The students: small 3D networks, one row each. Rows are light; torch is imported when a network is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..runtime import arguments
from ..runtime.axes import DHW
from ..runtime.errors import UsageError
from ..runtime.registry import Registry
from ..runtime.task import MAX_LABELS

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class PatchRule:
    """Which patches a network accepts.

    Attributes:
        multiple: number that every edge is a multiple of, in voxels.
        min_longest_edge: least length of the longest edge, in voxels.
    """

    multiple: int = 1
    min_longest_edge: int = 1

    def accepts(self, patch_dhw: DHW) -> bool:
        """Returns whether patches of this size, in voxels, are accepted."""
        return (
            all(edge > 0 and edge % self.multiple == 0 for edge in patch_dhw)
            and max(patch_dhw) >= self.min_longest_edge
        )

    def __str__(self) -> str:
        longest = f", one at least {self.min_longest_edge}" if self.min_longest_edge > self.multiple else ""
        return f"edges that are multiples of {self.multiple}{longest}" if self.multiple > 1 else f"any edges{longest}"


@dataclass(frozen=True)
class StudentSpec:
    """A row of `STUDENTS`.

    Attributes:
        build: returns the network with fresh weights for a number of classes, background included; it maps images
            ``[B, 1, D, H, W]`` to logits ``[B, C, D, H, W]``.
        source: source of the architecture: paper and table, or a project.
        patch_rule: the patches it accepts.
    """

    build: Callable[[int], nn.Module]
    source: str
    patch_rule: PatchRule

    def accepts(self, patch_dhw: DHW) -> bool:
        """Returns whether the network accepts patches of this size, in voxels."""
        return self.patch_rule.accepts(patch_dhw)


def _swin_unetr(num_classes: int, *, feature_size: int) -> nn.Module:
    from monai.networks.nets.swin_unetr import SwinUNETR

    return SwinUNETR(
        in_channels=1,
        out_channels=num_classes,
        feature_size=feature_size,
        depths=(2, 2, 2, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        spatial_dims=3,
    )


def _half_resolution_unet(num_classes: int, *, stem: int, features: tuple[int, int, int, int, int, int]) -> nn.Module:
    """Returns a plain U-Net at half resolution: an eighth of the voxels, logits upsampled trilinearly.

    Args:
        num_classes: output channels.
        stem: channels of the strided first convolution.
        features: channels of the U-Net's five levels, from half resolution down, and of its last layer.
    """
    from monai.networks.nets.basic_unet import BasicUNet
    from torch import nn

    return nn.Sequential(
        nn.Conv3d(1, stem, 3, stride=2, padding=1),
        BasicUNet(spatial_dims=3, in_channels=stem, out_channels=num_classes, features=features),
        nn.Upsample(scale_factor=2.0, mode="trilinear", align_corners=False),
    )


# Five halvings leave whole voxels, and more than one: instance normalisation needs two.
_FIVE_HALVINGS = PatchRule(multiple=32, min_longest_edge=64)

STUDENTS = Registry(
    "student",
    StudentSpec,
    {
        "swinunetr-tiny": StudentSpec(
            partial(_swin_unetr, feature_size=12), "AutoSAM Adapter, Table 3", _FIVE_HALVINGS
        ),
        "swinunetr-small": StudentSpec(
            partial(_swin_unetr, feature_size=24), "AutoSAM Adapter, Table 3", _FIVE_HALVINGS
        ),
        "unet-nano": StudentSpec(
            partial(_half_resolution_unet, stem=12, features=(16, 32, 64, 96, 96, 16)),
            "bedside: learns in minutes on a CPU, for demonstrations",
            _FIVE_HALVINGS,
        ),
    },
    group="bedside.students",
)
"""Name → student; an installed package adds one by an entry point of the group ``bedside.students``."""


def build_student(name: str, *, num_classes: int) -> nn.Module:
    """Builds a student with fresh weights.

    Args:
        name: name in `STUDENTS`.
        num_classes: output channels, background included.

    Returns:
        A network that maps images ``[B, 1, D, H, W]`` to logits ``[B, C, D, H, W]``.

    Raises:
        UsageError: no student has this name, or ``num_classes`` is not from 2 to 65,536.
    """
    return STUDENTS.find(name).build(arguments.whole_number("num_classes", num_classes, 2, MAX_LABELS))


def check_patch(name: str, patch_dhw: DHW) -> None:
    """Checks that a student accepts patches of this size, in voxels.

    Raises:
        UsageError: it does not, or no student has this name.
    """
    spec = STUDENTS.find(name)
    patch_dhw = arguments.dhw("patch", patch_dhw)
    if not spec.accepts(patch_dhw):
        shown = " ".join(str(edge) for edge in patch_dhw.xyz)
        raise UsageError(f'student "{name}" needs a patch with {spec.patch_rule}; got {shown}')
