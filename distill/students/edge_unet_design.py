"""The design of an edge U-Net: what a row of the students' registry says of it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from ...training.patch_rule import PatchRule


@dataclass(frozen=True, kw_only=True)
class EdgeUNetDesign:
    """Sizes of an `EdgeUNet`; its docstring says what they mean for speed.

    Attributes:
        channels: channels of each encoder level, finest first; each further level halves the resolution.
        decoder: channels of each decoder level, finest first: one level fewer than the encoder.
        stem_stride: stride of the first convolution: 2 computes all at half the grid's resolution, 1 at all of it.
        residual_blocks: residual blocks of each level, after its first convolution; a level without any has one more
            convolution instead.
        branches: whether every 3×3×3 convolution trains with a 1×1×1 convolution and, where sizes permit, an identity
            beside it; `ConvolutionBlock` says from which paper.
    """

    channels: tuple[int, ...]
    decoder: tuple[int, ...]
    stem_stride: int = 2
    residual_blocks: tuple[int, ...] = ()
    branches: bool = False

    @property
    def blocks(self) -> tuple[int, ...]:
        """Residual blocks of each level, zeros included."""
        return self.residual_blocks or (0,) * len(self.channels)

    @property
    def patch_rule(self) -> PatchRule:
        """The patches that the strides permit."""
        return PatchRule.of_stride(self.stem_stride * 2 ** (len(self.channels) - 1))
