"""The prompt generator: which maps it reads and what it returns."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.sam.sizes import find_sam_size
from bedside.teacher.selfprompt.prompt_generator import PromptGenerator

NANO = find_sam_size("vit_nano")
CLASSES, DEPTH = 3, 4


def generator(enlarge: int = 4, *, multi_scale: bool = True, recompute: bool = False) -> PromptGenerator:
    torch.manual_seed(0)
    return PromptGenerator(NANO, CLASSES, enlarge, multi_scale=multi_scale, recompute=recompute)


def maps(h: int = 2, w: int = 3) -> list[torch.Tensor]:
    given = torch.Generator().manual_seed(1)
    return [torch.randn(1, DEPTH, h, w, NANO.width, generator=given) for _ in range(4)]


@pytest.mark.parametrize(
    ("enlarge", "factors"),
    [(4, [4, 2, 1, 1]), (2, [8, 4, 2, 1]), (1, [16, 4, 2, 1])],  # of a token's 16 / enlarge voxels
)
def test_levels_double_rows_and_columns_up_to_the_patchs_size(enlarge, factors):
    with torch.no_grad():
        logits = generator(enlarge)(maps(), all_levels=True)
    assert [tuple(each.shape) for each in logits] == [(1, CLASSES, DEPTH, 2 * f, 3 * f) for f in factors]


@pytest.mark.parametrize(("multi_scale", "read"), [(True, [True] * 4), (False, [False, False, False, True])])
def test_stacked_convolutions_read_the_deepest_map_alone(multi_scale, read):
    model, given = generator(multi_scale=multi_scale), maps()
    with torch.no_grad():
        (before,) = model(given, all_levels=False)
        moved = []
        for number in range(4):
            changed = [tokens + (index == number) * tokens.flip(2) for index, tokens in enumerate(given)]
            moved.append(bool((model(changed, all_levels=False)[0] - before).abs().max() > 1e-4))
    assert moved == read


def test_stacked_convolutions_have_one_level_of_logits_and_fewer_parameters():
    stacked, whole = generator(multi_scale=False), generator()
    assert len(stacked(maps(), all_levels=True)) == 1
    counts = [sum(parameter.numel() for parameter in model.parameters()) for model in (stacked, whole)]
    assert counts[0] < counts[1]


def test_a_level_reads_the_maps_that_are_as_deep_or_deeper():
    model, given = generator(), [tokens.requires_grad_() for tokens in maps()]
    for level, logits in enumerate(reversed(model(given, all_levels=True))):
        grads = torch.autograd.grad(logits.square().sum(), given, retain_graph=True, allow_unused=True)
        assert [grad is not None for grad in grads] == [False] * (3 - level) + [True] * (level + 1)


def test_recomputed_levels_have_the_same_gradients():
    found = []
    for recompute in (False, True):
        model = generator(recompute=recompute)
        sum(logits.square().sum() for logits in model(maps(), all_levels=True)).backward()
        found.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
