"""The network against its plain reference: one slice at a time, by SAM's own code."""

from __future__ import annotations

import pytest
import torch
from bedside.runtime.errors import UsageError
from bedside.teacher.sautomed.config import SAutoMedConfig
from bedside.teacher.sautomed.network import SAutoMed
from bedside.teacher.sautomed.reference import plain_logits, self_attention, training_runs
from torch import Tensor, nn

torch.set_num_threads(1)

PATCH = (16, 16, 32)


def network(**options) -> SAutoMed:
    torch.manual_seed(0)
    return SAutoMedConfig(sam="vit_nano", **options).build(4, PATCH)


def images(batch: int) -> Tensor:
    return torch.rand(batch, 1, *PATCH, generator=torch.Generator().manual_seed(1))


MIDDLE_OUT = [list(range(8, 16)), [8, *range(7, -1, -1)]]


@pytest.mark.parametrize(("order", "runs"), [("middle", MIDDLE_OUT), ("end", [list(range(16))])])
def test_a_patch_is_walked_slice_by_slice(order, runs):
    model, x = network(order=order).eval(), images(2)
    with torch.no_grad():
        torch.testing.assert_close(model(x), plain_logits(model, x, runs), atol=1e-4, rtol=1e-4)


def test_training_walks_runs_and_has_their_gradients():
    model, x = network().double().train(), images(2).double()
    runs = [[8, 9], [10, 11, 12], [13, 14, 15], [7, 6], [5, 4, 3], [2, 1, 0]]
    assert training_runs(16) == runs
    found = []
    for logits in (model(x), plain_logits(model, x, runs)):
        model.zero_grad()
        logits.square().mean().backward()
        found.append((logits.detach(), {name: p.grad for name, p in model.named_parameters()}))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-9, rtol=1e-9)
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(gradient, found[1][1][name], atol=1e-9, rtol=1e-7, msg=name)


def test_runs_of_a_deep_patch_take_turns():
    assert training_runs(18)[:4] == [[9, 10], [11, 12, 13], [14, 15, 16, 17], [8, 7]]


def test_self_attention_is_torchs():
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(16, 8, batch_first=True)
    qkv = nn.Linear(16, 48)
    qkv.weight, qkv.bias = theirs.in_proj_weight, theirs.in_proj_bias
    x = torch.randn(2, 5, 16)
    torch.testing.assert_close(self_attention(qkv, theirs.out_proj, x), theirs(x, x, x)[0])


def test_a_network_without_a_part_is_refused():
    with pytest.raises(UsageError, match="the plain network has all parts"):
        plain_logits(network(history=False), images(1))
