"""Attention of the two-way transformer, against segment-anything's own."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.sam.fused_attention import FusedAttention, fuse_attention
from bedside.teacher.simulated_step import LiveMemory
from segment_anything.modeling.transformer import Attention, TwoWayTransformer

torch.set_num_threads(1)

WIDTH = 32


@pytest.mark.parametrize("rate", [1, 2])
def test_values_and_gradients_are_those_of_sams_attention(rate):
    torch.manual_seed(0)
    ours, sams = FusedAttention(WIDTH, 8, rate).double(), Attention(WIDTH, 8, rate).double()
    sams.load_state_dict(ours.state_dict())
    q, k, v = (torch.randn(2, n, WIDTH, dtype=torch.float64, requires_grad=True) for n in (3, 20, 20))
    out, expected = ours(q, k, v), sams(q, k, v)
    torch.testing.assert_close(out, expected)
    for one, other in zip(*(torch.autograd.grad(y.square().sum(), (q, k, v)) for y in (out, expected)), strict=True):
        torch.testing.assert_close(one, other)


def test_each_attention_of_a_transformer_is_replaced_in_its_size():
    transformer = TwoWayTransformer(2, WIDTH, 8, 64)
    shapes = {name: tensor.shape for name, tensor in transformer.state_dict().items()}
    fuse_attention(transformer)
    found = [module for module in transformer.modules() if isinstance(module, Attention)]
    assert len(found) == 2 * 3 + 1
    assert all(type(module) is FusedAttention for module in found)
    assert {name: tensor.shape for name, tensor in transformer.state_dict().items()} == shapes


def test_no_scores_are_kept_for_the_gradient():
    tokens, image = torch.randn(1, 32, WIDTH), torch.randn(1, 4096, WIDTH)
    scores = 4 * 8 * 32 * 4096
    held = []
    for kind in (FusedAttention, Attention):
        attention = kind(WIDTH, 8, 2)
        with LiveMemory() as live:
            out = attention(tokens, image, image)
        held.append(live.held)
        del out
    assert held[1] - held[0] > 0.9 * scores
