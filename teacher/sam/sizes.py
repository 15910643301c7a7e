"""The sizes of SAM's image encoder, one row each, with the widths of the layers added to it."""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime import arguments

PLANE_TABLE = 64
"""Rows and columns of SAM's absolute position table (1024 px in patches of 16)."""

SAM_PATCH = 16
"""Pixels along each side of one of SAM's tokens."""

DECODER_LAYERS, DECODER_HEADS, DECODER_MLP_RATIO = 2, 8, 8
"""Of the two-way transformer in SAM's mask decoder; its MLP is 2048 wide for tokens of 256."""

WINDOW = 14
"""Tokens along each side of a window of SAM's image encoder; a relative table has 2 × 14 − 1 rows."""


@dataclass(frozen=True)
class SamSize:
    """One size of SAM's image encoder.

    Attributes:
        name: as in segment-anything's model registry.
        width: token width.
        depth: number of transformer blocks, a multiple of 4.
        heads: number of attention heads; divides the width.
        global_blocks: blocks that attend globally in SAM, and therefore have longer relative-position tables.
        public: whether Meta publishes weights of this size.
        neck_width: channels of the four encoder maps.
        prompt_widths: channels of the levels of a prompt generator, finest first.
        decoder_width: channels of the mask decoder.
    """

    name: str
    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    public: bool = True
    neck_width: int = 256
    prompt_widths: tuple[int, ...] = (16, 32, 64, 128, 160)
    decoder_width: int = 128

    def table_size(self, block: int) -> int:
        """Returns the side length, in tokens, of the attention field of block ``block`` in SAM."""
        return PLANE_TABLE if block in self.global_blocks else WINDOW


_ROWS = (
    SamSize("vit_b", width=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11)),
    SamSize("vit_l", width=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23)),
    SamSize("vit_h", width=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31)),
    SamSize(
        "vit_small",
        width=192,
        depth=8,
        heads=3,
        global_blocks=(1, 3, 5, 7),
        public=False,
        neck_width=128,
        prompt_widths=(16, 32, 48, 64, 96),
        decoder_width=64,
    ),
    SamSize(
        "vit_nano",
        width=96,
        depth=4,
        heads=2,  # wide heads are the cheaper ones on a CPU
        global_blocks=(1, 3),
        public=False,
        neck_width=64,
        prompt_widths=(16, 24, 32, 48, 64),
        decoder_width=32,
    ),
)

SAM_SIZES: dict[str, SamSize] = {row.name: row for row in _ROWS}


def find_sam_size(name: str) -> SamSize:
    """Returns the size of that name.

    Raises:
        UsageError: no size has this name.
    """
    return SAM_SIZES[arguments.known("SAM size", name, SAM_SIZES)]
