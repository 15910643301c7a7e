"""The students: small 3D networks from MONAI, one table row each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from ..runtime import arguments
from ..runtime.errors import UsageError
from ..runtime.task import MAX_LABELS

PatchDHW = tuple[int, int, int]


class StudentSpec(Protocol):
    """A row of the table: builds a student and states which patches it accepts."""

    @property
    def source(self) -> str:
        """Source of the architecture: paper and table, or this project."""
        ...

    def build(self, num_classes: int) -> torch.nn.Module:
        """Returns the network with fresh weights."""
        ...

    def takes(self, patch_dhw: PatchDHW) -> bool:
        """Returns whether the network accepts patches of this size, (D, H, W) in voxels."""
        ...

    @property
    def patch_rule(self) -> str:
        """The patches it accepts, as the end of a sentence in error messages."""
        ...


@dataclass(frozen=True)
class SwinUnetrSpec:
    """Architecture of a SwinUNETR.

    Attributes:
        feature_size: channels of the first stage.
        source: source of the architecture.
        depths: transformer blocks of each stage.
        heads: attention heads of each stage.
        window: edge of the attention windows, in tokens.
        patch_rule: the patches it accepts, for error messages.
    """

    feature_size: int
    source: str
    depths: tuple[int, int, int, int] = (2, 2, 2, 2)
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    window: int = 7
    patch_rule: str = "edges that are multiples of 32, one at least 64"

    def build(self, num_classes: int) -> torch.nn.Module:
        """Returns the network with fresh weights."""
        from monai.networks.nets.swin_unetr import SwinUNETR

        return SwinUNETR(
            in_channels=1,
            out_channels=num_classes,
            feature_size=self.feature_size,
            depths=self.depths,
            num_heads=self.heads,
            window_size=self.window,
            spatial_dims=3,
        )

    def takes(self, patch_dhw: PatchDHW) -> bool:
        """Returns whether five halvings leave whole voxels, and more than one: instance normalisation needs two."""
        return _five_halvings(patch_dhw)


@dataclass(frozen=True)
class HalfResolutionUnetSpec:
    """Architecture of a plain U-Net at half resolution: an eighth of the voxels, logits upsampled trilinearly.

    Attributes:
        stem: channels of the strided first convolution.
        features: channels of the U-Net's five levels, from half resolution down, and of its last layer.
        source: source of the architecture.
        patch_rule: the patches it accepts, for error messages.
    """

    stem: int
    features: tuple[int, int, int, int, int, int]
    source: str
    patch_rule: str = "edges that are multiples of 32, one at least 64"

    def build(self, num_classes: int) -> torch.nn.Module:
        """Returns the network with fresh weights."""
        from monai.networks.nets.basic_unet import BasicUNet

        return torch.nn.Sequential(
            torch.nn.Conv3d(1, self.stem, 3, stride=2, padding=1),
            BasicUNet(spatial_dims=3, in_channels=self.stem, out_channels=num_classes, features=self.features),
            torch.nn.Upsample(scale_factor=2.0, mode="trilinear", align_corners=False),
        )

    def takes(self, patch_dhw: PatchDHW) -> bool:
        """Returns whether five halvings leave whole voxels, and more than one."""
        return _five_halvings(patch_dhw)


def _five_halvings(patch_dhw: PatchDHW) -> bool:
    return all(edge >= 32 and edge % 32 == 0 for edge in patch_dhw) and max(patch_dhw) >= 64


STUDENTS: dict[str, StudentSpec] = {
    "swinunetr-tiny": SwinUnetrSpec(12, "AutoSAM Adapter, Table 3"),
    "swinunetr-small": SwinUnetrSpec(24, "AutoSAM Adapter, Table 3"),
    "unet-nano": HalfResolutionUnetSpec(
        12, (16, 32, 64, 96, 96, 16), "bedside: learns in minutes on a CPU, for demonstrations"
    ),
}


def student_spec(name: str) -> StudentSpec:
    """Returns the row of a student.

    Raises:
        UsageError: no student has this name.
    """
    return STUDENTS[arguments.known("student", name, STUDENTS)]


def build_student(name: str, *, num_classes: int) -> torch.nn.Module:
    """Builds a student with fresh weights.

    Args:
        name: one of `STUDENTS`.
        num_classes: output channels, background included.

    Returns:
        A network that maps images ``[B, 1, D, H, W]`` to logits ``[B, C, D, H, W]``.

    Raises:
        UsageError: no student has this name, or ``num_classes`` is not from 2 to 65,536.
    """
    return student_spec(name).build(arguments.whole_number("num_classes", num_classes, 2, MAX_LABELS))


def check_patch(name: str, patch_dhw: PatchDHW) -> None:
    """Checks that a student accepts patches of this size, (D, H, W) in voxels.

    Raises:
        UsageError: it does not, or no student has this name.
    """
    spec = student_spec(name)
    patch_dhw = arguments.triple("patch", patch_dhw)
    if not spec.takes(patch_dhw):
        shown = " ".join(str(edge) for edge in reversed(patch_dhw))
        raise UsageError(f'student "{name}" needs a patch with {spec.patch_rule}; got {shown}')
