"""Cubic window attention against a slow reference and against SAM's own 2D attention."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.autosam.attention import CubicWindowAttention, axis_mask, axis_shifts
from segment_anything.modeling.image_encoder import Attention, window_partition, window_unpartition

torch.set_num_threads(1)


def make(tokens, *, shifted, width=12, heads=3, table_size=14) -> CubicWindowAttention:
    torch.manual_seed(0)
    attention = CubicWindowAttention(width, heads, tokens, shifted=shifted, table_size=table_size).double()
    for table in (attention.rel_pos_d, attention.rel_pos_h, attention.rel_pos_w):
        torch.nn.init.normal_(table)
    return attention


def fifteen_rows(table: torch.Tensor) -> torch.Tensor:
    """Linear interpolation of a table ``[L, c]`` to the offsets −7…7."""
    length = table.shape[0]
    at = ((torch.arange(15, dtype=torch.float64) + 0.5) * length / 15 - 0.5).clamp(0, length - 1)
    below = at.floor().long()
    above = (below + 1).clamp(max=length - 1)
    weight = (at - below)[:, None]
    return table[below] * (1 - weight) + table[above] * weight


def slow_attention(attention: CubicWindowAttention, x: torch.Tensor, *, shifted: bool) -> torch.Tensor:
    """All tokens against all tokens; only pairs in one cell of the (offset) 8³ grid count.

    Shifting the windows by 4 is the same as moving the grid by 4 and cutting its cells at the volume's border.
    """
    _, *tokens, width = x.shape
    heads = attention.num_heads
    at = torch.stack(torch.meshgrid(*(torch.arange(n) for n in tokens), indexing="ij"), dim=-1).reshape(-1, 3)
    offset = torch.tensor([4 if shifted and n > 8 else 0 for n in tokens])
    cell = torch.div(at - offset, 8, rounding_mode="floor")
    together = (cell[:, None] == cell[None, :]).all(dim=-1)
    q, k, v = attention.qkv(x.reshape(-1, width)).reshape(-1, 3, heads, width // heads).permute(1, 2, 0, 3)
    scores = (q @ k.transpose(-1, -2)) * (width // heads) ** -0.5
    tables = (attention.rel_pos_d, attention.rel_pos_h, attention.rel_pos_w)
    for axis, table in enumerate(tables):
        distance = (at[:, None, axis] - at[None, :, axis]).clamp(-7, 7) + 7
        terms = q @ fifteen_rows(table).T  # [heads, N, 15]
        scores = scores + terms.gather(2, distance.expand(heads, -1, -1))
    weights = scores.masked_fill(~together, float("-inf")).softmax(dim=-1)
    return attention.proj((weights @ v).transpose(0, 1).reshape(-1, width)).reshape(x.shape)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("tokens", [(8, 8, 8), (16, 16, 8), (8, 8, 24)])
def test_fused_attention_equals_the_slow_reference(tokens, shifted):
    attention = make(tokens, shifted=shifted)
    x = torch.randn(1, *tokens, 12, dtype=torch.float64)
    with torch.no_grad():
        fused, slow = attention(x), slow_attention(attention, x, shifted=shifted)
    torch.testing.assert_close(fused, slow, atol=1e-10, rtol=0)


def test_gradients_equal_those_of_the_slow_reference():
    attention = make((16, 8, 8), shifted=True)
    x = torch.randn(1, 16, 8, 8, 12, dtype=torch.float64)
    fused = torch.autograd.grad(attention(x).square().sum(), attention.rel_pos_d)[0]
    slow = torch.autograd.grad(slow_attention(attention, x, shifted=True).square().sum(), attention.rel_pos_d)[0]
    assert slow.abs().max() > 1e-3
    torch.testing.assert_close(fused, slow, atol=1e-9, rtol=0)


def test_float32_agrees_with_the_float64_reference_to_1e_4():
    attention = make((16, 8, 8), shifted=True)
    x = torch.randn(2, 16, 8, 8, 12, dtype=torch.float64)
    with torch.no_grad():
        slow = torch.cat([slow_attention(attention, part[None], shifted=True) for part in x])
        fused = attention.float()(x.float())
    torch.testing.assert_close(fused.double(), slow, atol=1e-4, rtol=0)


def test_a_volume_that_repeats_along_depth_gets_sams_own_2d_window_attention():
    attention = make((16, 16, 16), shifted=False, table_size=14)
    torch.nn.init.zeros_(attention.rel_pos_d)
    sam = Attention(12, num_heads=3, use_rel_pos=True, input_size=(14, 14)).double()
    sam.load_state_dict({name: tensor for name, tensor in attention.state_dict().items() if name != "rel_pos_d"})
    plane = torch.randn(1, 16, 16, 12, dtype=torch.float64)
    with torch.no_grad():
        windows, padded = window_partition(plane, 8)
        expected = window_unpartition(sam(windows), 8, padded, (16, 16))
        volume = attention(plane[:, None].expand(1, 16, 16, 16, 12))
    torch.testing.assert_close(volume, expected[:, None].expand_as(volume), atol=1e-10, rtol=0)


def test_only_the_last_window_of_an_axis_is_cut():
    mask = axis_mask(24, 4)
    assert mask.shape == (3, 8, 8)
    assert not mask[:2].any()
    assert mask[2, 3].lt(0).tolist() == [False] * 4 + [True] * 4
    assert mask[2, 4].lt(0).tolist() == [True] * 4 + [False] * 4


def test_an_axis_of_one_window_is_not_shifted():
    assert axis_shifts((8, 16, 32), shifted=True) == (0, 4, 4)
    assert axis_shifts((8, 16, 32), shifted=False) == (0, 0, 0)


def test_depth_table_starts_as_the_mean_of_height_and_width():
    attention = make((8, 8, 8), shifted=False, table_size=64)
    attention.reset_depth_table()
    assert attention.rel_pos_d.shape == (127, 4)
    assert torch.equal(attention.rel_pos_d, (attention.rel_pos_h + attention.rel_pos_w) / 2)


def test_masks_are_not_saved():
    attention = make((16, 16, 16), shifted=True)
    names = {"qkv.weight", "qkv.bias", "proj.weight", "proj.bias", "rel_pos_d", "rel_pos_h", "rel_pos_w"}
    assert set(attention.state_dict()) == names
