"""The students: small SwinUNETR networks (MONAI's), one table row each."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..runtime.errors import UsageError


@dataclass(frozen=True)
class StudentSpec:
    """Shape of a SwinUNETR.

    Attributes:
        feature_size: channels of the first stage.
        depths: transformer blocks of each stage.
        heads: attention heads of each stage.
        window: edge of the attention windows, in tokens.
        source: where the shape comes from.
    """

    feature_size: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    window: int
    source: str


STUDENTS: dict[str, StudentSpec] = {
    "swinunetr-tiny": StudentSpec(12, (2, 2, 2, 2), (3, 6, 12, 24), 7, "AutoSAM Adapter, Table 3"),
    "swinunetr-small": StudentSpec(24, (2, 2, 2, 2), (3, 6, 12, 24), 7, "AutoSAM Adapter, Table 3"),
    # Half the blocks, wider heads, windows that divide the token grid: a quarter of tiny's training time on a CPU
    # (0.45 against 1.8 s for a 64×64×32 crop on one core). For demonstrations; no paper's.
    "swinunetr-nano": StudentSpec(12, (1, 1, 1, 1), (1, 2, 4, 8), 4, "bedside; for demonstrations"),
}


def build_student(name: str, *, num_classes: int) -> torch.nn.Module:
    """Builds a student with fresh weights.

    Args:
        name: one of `STUDENTS`.
        num_classes: output channels, background included.

    Returns:
        A network giving logits ``[B, C, D, H, W]`` from images ``[B, 1, D, H, W]``; D, H, W multiples of 32.

    Raises:
        UsageError: no student of that name.
    """
    if name not in STUDENTS:
        raise UsageError(f'no student "{name}"; there are: {", ".join(STUDENTS)}')
    from monai.networks.nets.swin_unetr import SwinUNETR

    spec = STUDENTS[name]
    return SwinUNETR(
        in_channels=1,
        out_channels=num_classes,
        feature_size=spec.feature_size,
        depths=spec.depths,
        num_heads=spec.heads,
        window_size=spec.window,
        spatial_dims=3,
    )


def check_patch(patch_dhw: tuple[int, int, int]) -> None:
    """Checks that a SwinUNETR can take a patch.

    Raises:
        UsageError: an edge is not a multiple of 32, or two edges are only 32: the deepest stage would be a single
            voxel, which instance normalisation cannot take.
    """
    edges = sorted(patch_dhw)
    if any(edge % 32 for edge in edges) or edges[0] < 32 or edges[2] < 64:
        shown = " ".join(str(edge) for edge in reversed(patch_dhw))
        raise UsageError(f"a SwinUNETR needs patch edges that are multiples of 32, one at least 64; got {shown}")
