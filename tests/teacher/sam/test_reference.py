"""The steps that plain networks share, against segment-anything's own block."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.sam.reference import plain_attention
from bedside.teacher.sam.sizes import find_sam_size
from bedside.teacher.sam.slice_encoder import SliceBlock
from segment_anything.modeling.image_encoder import Block

NANO = find_sam_size("vit_nano")


@pytest.mark.parametrize(("index", "window"), [(0, 14), (1, 0)])
@pytest.mark.parametrize("tokens", [(4, 6), (15, 30)])
def test_attention_and_mlp_are_those_of_sams_block(index, window, tokens):
    torch.manual_seed(0)
    ours = SliceBlock(NANO, index)
    torch.nn.init.normal_(ours.attn.rel_pos_h)
    torch.nn.init.normal_(ours.attn.rel_pos_w)
    side = NANO.table_size(index)
    sams = Block(
        NANO.width,
        NANO.heads,
        norm_layer=lambda width: torch.nn.LayerNorm(width, eps=1e-6),
        use_rel_pos=True,
        window_size=window,
        input_size=(side, side),
    )
    sams.load_state_dict(ours.state_dict())
    x = torch.randn(2, *tokens, NANO.width)
    attended = x + plain_attention(ours, x)
    torch.testing.assert_close(attended + ours.mlp(ours.norm2(attended)), sams(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours(x), sams(x), atol=1e-4, rtol=1e-4)
