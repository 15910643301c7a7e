"""Adapters along depth."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.selfprompt.depth_adapter import DepthAdapter, DepthMlp

WIDTH, DEPTH = 8, 5
PLACES = ("fused", "before", "after", "plain")


def far_from_its_start(module: torch.nn.Module) -> torch.nn.Module:
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module


def tokens() -> torch.Tensor:
    return torch.randn(2, DEPTH, 3, WIDTH, generator=torch.Generator().manual_seed(0))


def test_the_depth_mlp_is_two_layers_over_the_slices_of_each_place_and_channel():
    torch.manual_seed(0)
    mlp, x = far_from_its_start(DepthMlp(DEPTH)), tokens()
    out = mlp(x)
    for b in range(2):
        for n in range(3):
            for c in range(WIDTH):
                line = x[b, :, n, c]
                expected = line + mlp.second(torch.nn.functional.gelu(mlp.first(line)))
                torch.testing.assert_close(out[b, :, n, c], expected)


def test_each_place_of_the_depth_mlp_is_what_its_name_says():
    x, gelu = tokens(), torch.nn.functional.gelu
    by_hand = {
        "fused": lambda a: a.up(a.fused(gelu(a.down(x)))),
        "before": lambda a: a.up(gelu(a.down(a.before(x)))),
        "after": lambda a: a.after(a.up(gelu(a.down(x)))),
        "plain": lambda a: a.up(gelu(a.down(x))),
    }
    assert by_hand.keys() == set(PLACES)
    for place, expected in by_hand.items():
        torch.manual_seed(0)
        adapter = far_from_its_start(DepthAdapter(WIDTH, DEPTH, place))
        torch.testing.assert_close(adapter(x), expected(adapter))


@pytest.mark.parametrize("place", PLACES)
def test_another_slice_shows_at_the_same_place_alone_and_only_with_a_depth_mlp(place):
    torch.manual_seed(0)
    adapter, x = far_from_its_start(DepthAdapter(WIDTH, DEPTH, place)), tokens()
    changed = x.clone()
    changed[0, 2, 1] += 1
    moved = (adapter(changed) - adapter(x)).abs().amax(dim=3) > 1e-6
    assert moved[0, :, 1].tolist() == [place != "plain"] * 2 + [True] + [place != "plain"] * 2
    assert moved.sum() == moved[0, :, 1].sum()


@pytest.mark.parametrize("place", PLACES)
def test_it_starts_beside_zero_and_yet_all_of_it_learns(place):
    torch.manual_seed(0)
    adapter, x = DepthAdapter(WIDTH, DEPTH, place), tokens()
    out = adapter(x)
    assert 0 < out.abs().max() < 0.02
    out.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in adapter.parameters())


def test_the_bottleneck_is_a_quarter_and_the_depth_mlp_four_times_as_wide():
    count = sum(parameter.numel() for parameter in DepthAdapter(768, 128, "fused").parameters())
    assert count == 2 * 768 * 192 + 768 + 192 + 2 * 128 * 512 + 128 + 512
