"""Attention between and within slices, against loops over every token."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.sautomed.slice_sharing import HEADS, InterSliceAttention, IntraSliceAttention, SliceSharing
from torch import Tensor

WIDTH = 16
B, D, L = 2, 4, 6


def attend(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """One query [C] over keys and values [n, C], head by head."""
    heads = []
    for head in range(HEADS):
        part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
        scores = keys[:, part] @ query[part] / (WIDTH // HEADS) ** 0.5
        heads.append(scores.softmax(dim=0) @ values[:, part])
    return torch.cat(heads)


def looped(attention, x: Tensor, places) -> Tensor:
    """Attention of the token (b, d, l) to the tokens (b, *place) of ``places(d, l)``."""
    out = torch.empty_like(x)
    for b in range(B):
        for d in range(D):
            for place in range(L):
                query = attention.qkv(x[b, d, place])[:WIDTH]
                read = torch.stack([attention.qkv(x[b, other, at]) for other, at in places(d, place)])
                mixed = attend(query, read[:, WIDTH : 2 * WIDTH], read[:, 2 * WIDTH :])
                out[b, d, place] = attention.proj(mixed)
    return out


@pytest.mark.parametrize(
    ("kind", "places"),
    [
        (InterSliceAttention, lambda d, place: [(max(d - 1, 0), place), (d, place), (min(d + 1, D - 1), place)]),
        (IntraSliceAttention, lambda d, _: [(d, at) for at in range(L)]),
    ],
)
def test_attention_is_that_of_a_loop_over_tokens(kind, places):
    torch.manual_seed(0)
    attention = kind(WIDTH).double()
    torch.nn.init.normal_(attention.proj.weight)
    x = torch.randn(B, D, L, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(attention(x), looped(attention, x, places))


def test_a_token_sees_its_place_two_slices_away_only_through_two_layers():
    torch.manual_seed(0)
    attention, x = InterSliceAttention(WIDTH), torch.randn(1, D, L, WIDTH)
    changed = x.clone()
    changed[0, 3, 2] += 1
    moved = (attention(changed) - attention(x)).abs().amax(dim=-1)[0] > 0
    assert moved.nonzero().tolist() == [[2, 2], [3, 2]]


def test_sharing_is_three_residual_sums_and_starts_beside_the_identity():
    torch.manual_seed(0)
    sharing, maps = SliceSharing(WIDTH), torch.randn(B, D, WIDTH, 2, 3)
    x = maps.flatten(3).transpose(2, 3)
    x = x + sharing.inter(sharing.norm1(x))
    x = x + sharing.intra(sharing.norm2(x))
    x = x + sharing.mlp(sharing.norm3(x))
    with torch.no_grad():
        torch.testing.assert_close(sharing(maps), x.transpose(2, 3).reshape(maps.shape))
        assert (sharing(maps) - maps).abs().max() < 0.02
