"""The auto prompt generator: its levels on the paper's patch and on smaller ones."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.autosam.prompt_generator import AutoPromptGenerator, pooling_strides

torch.set_num_threads(1)


def level_sizes(tokens):
    sizes = [tokens]
    for stride in pooling_strides(tokens, 4):
        sizes.append(tuple(size // step for size, step in zip(sizes[-1], stride, strict=True)))
    return sizes


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ((32, 32, 32), [(32,) * 3, (16,) * 3, (8,) * 3, (4,) * 3, (2,) * 3]),
        ((16, 16, 16), [(16,) * 3, (8,) * 3, (4,) * 3, (2,) * 3, (2,) * 3]),
        ((8, 16, 16), [(8, 16, 16), (4, 8, 8), (2, 4, 4), (2, 2, 2), (2, 2, 2)]),
        ((24, 24, 24), [(24,) * 3, (12,) * 3, (6,) * 3, (3,) * 3, (3,) * 3]),
    ],
)
def test_levels(tokens, expected):
    assert level_sizes(tokens) == expected


@pytest.mark.parametrize("tokens", [(8, 8, 8), (8, 16, 16), (24, 8, 40)])
def test_prompt_has_the_shape_of_the_map_and_trains_on_small_patches(tokens):
    torch.manual_seed(0)
    generator = AutoPromptGenerator(6, (4, 5, 6, 7, 8), tokens)
    x = torch.randn(1, 6, *tokens)
    prompt = generator(x)
    prompt.square().sum().backward()
    assert prompt.shape == x.shape
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in generator.parameters())


def test_paper_widths_see_levels_of_32_16_8_4_2():
    generator = AutoPromptGenerator(8, (16, 32, 64, 128, 160), (32, 32, 32))
    seen = []
    for level in generator.down:
        level.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:3])))
    with torch.no_grad():
        generator(torch.randn(1, 8, 32, 32, 32))
    assert seen == [(16, 32), (32, 16), (64, 8), (128, 4), (160, 2)]
