"""The students: small 3D networks, one row each. Rows are light; torch is imported when a network is built."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ...runtime import arguments
from ...runtime.axes import DHW
from ...runtime.errors import UsageError
from ...runtime.extras import extra_named
from ...runtime.registry import Registry
from ...runtime.task import MAX_LABELS
from ...training.patch_rule import PatchRule
from ...training.recipe import Recipe
from .edge_unet_design import EdgeUNetDesign
from .spec import StudentSpec

if TYPE_CHECKING:
    from torch import nn


def _swin_unetr(num_classes: int, *, feature_size: int, heads: tuple[int, int, int, int], window: int) -> nn.Module:
    """Returns MONAI's SwinUNETR.

    Args:
        num_classes: output channels.
        feature_size: channels at full resolution.
        heads: attention heads of the four stages, which have 1, 2, 4 and 8 times ``feature_size`` channels.
        window: tokens along each side of an attention window.
    """
    from monai.networks.nets.swin_unetr import SwinUNETR

    return SwinUNETR(
        in_channels=1,
        out_channels=num_classes,
        feature_size=feature_size,
        depths=(2, 2, 2, 2),
        num_heads=heads,
        window_size=window,
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


def _edge_unet(num_classes: int, *, design: EdgeUNetDesign) -> nn.Module:
    from .edge_unet import EdgeUNet

    return EdgeUNet(num_classes, design)


def _edge_row(design: EdgeUNetDesign, remark: str = "") -> StudentSpec:
    source = "bedside, after EffiDec3D"
    return StudentSpec(
        partial(_edge_unet, design=design),
        f"{source}, {remark}" if remark else source,
        design.patch_rule,
        recipe=_EDGE_RECIPE,
    )


# Batch normalisation permits a high rate: benchmarks/distillation/README.md has the figures.
_EDGE_RECIPE = Recipe(batch=2, lr=0.01, positive=0.7, balance_classes=True, loss="balanced-dice-ce", class_offsets=True)
_PAPERS_HEADS = (3, 6, 12, 24)
_FIVE_HALVINGS = PatchRule.of_stride(32)
_FOR_SMALL_ORGANS = "for small organs"
_BASE = EdgeUNetDesign(channels=(16, 32, 64, 96, 128), decoder=(16, 16, 32, 64))

STUDENTS = Registry(
    "student",
    StudentSpec,
    {
        "swinunetr-tiny": StudentSpec(
            partial(_swin_unetr, feature_size=12, heads=_PAPERS_HEADS, window=7),
            "AutoSAM Adapter, Table 3",
            _FIVE_HALVINGS,
        ),
        "swinunetr-small": StudentSpec(
            partial(_swin_unetr, feature_size=24, heads=_PAPERS_HEADS, window=7),
            "AutoSAM Adapter, Table 3",
            _FIVE_HALVINGS,
        ),
        # Heads of 12 channels, not of 4, and windows that divide the feature maps of a 64³ patch without padding.
        "swinunetr-tiny-edge": StudentSpec(
            partial(_swin_unetr, feature_size=12, heads=(1, 2, 4, 8), window=4),
            "bedside, after swinunetr-tiny",
            _FIVE_HALVINGS,
        ),
        "unet-nano": StudentSpec(
            partial(_half_resolution_unet, stem=12, features=(16, 32, 64, 96, 96, 16)),
            "bedside, for demonstrations",
            _FIVE_HALVINGS,
        ),
        "unet-edge-tiny": _edge_row(EdgeUNetDesign(channels=(8, 16, 32, 48), decoder=(8, 8, 16))),
        "unet-edge-small": _edge_row(EdgeUNetDesign(channels=(16, 24, 32, 48, 64), decoder=(16, 16, 16, 32))),
        "unet-edge-shallow": _edge_row(EdgeUNetDesign(channels=(16, 32, 64, 128), decoder=(16, 16, 32))),
        "unet-edge-base": _edge_row(_BASE),
        "unet-edge-base-repvgg": _edge_row(replace(_BASE, branches=True), "with RepVGG's branches"),
        "unet-edge-residual": _edge_row(
            EdgeUNetDesign(channels=(16, 32, 64, 128, 192), decoder=(16, 16, 32, 64), residual_blocks=(0, 1, 1, 1, 1)),
            "with residual blocks",
        ),
        "unet-edge-large": _edge_row(EdgeUNetDesign(channels=(24, 48, 96, 160, 192), decoder=(24, 24, 48, 96))),
        "unet-edge-fullres-small": _edge_row(
            EdgeUNetDesign(channels=(8, 16, 32, 64), decoder=(8, 8, 16), stem_stride=1), _FOR_SMALL_ORGANS
        ),
        "unet-edge-fullres-base": _edge_row(
            EdgeUNetDesign(channels=(16, 32, 64, 128), decoder=(16, 32, 64), stem_stride=1), _FOR_SMALL_ORGANS
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
        MissingExtraError: the packages of the ``train`` extra are not installed.
    """
    build, classes = STUDENTS.find(name).build, arguments.whole_number("num_classes", num_classes, 2, MAX_LABELS)
    with extra_named():
        return build(classes)


def check_patch(name: str, patch_dhw: DHW) -> None:
    """Checks that a student accepts patches of this size, in voxels.

    Raises:
        UsageError: it does not, or no student has this name.
    """
    rule = STUDENTS.find(name).patch_rule
    patch_dhw = arguments.dhw("patch", patch_dhw)
    if not rule.accepts(patch_dhw):
        shown = " ".join(str(edge) for edge in patch_dhw.xyz)
        raise UsageError(f'student "{name}" needs a patch {rule}; got {shown}')
