"""Prompts of a class from auxiliary logits, against searches over all pixels and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bedside.teacher.selfprompt.prompts import Prompts, farthest_points, log_odds, squared_distances
from scipy.ndimage import distance_transform_edt

SHAPES = [(6, 9), (16, 5), (1, 7), (7, 1), (24, 24)]


def masks(shape: tuple[int, int]) -> torch.Tensor:
    """Nothing, everything, noise of several densities, and a ring."""
    rng = np.random.default_rng(0)
    y, x = np.indices(shape) - np.array(shape)[:, None, None] / 2
    ring = (x**2 + y**2 > 4) & (x**2 + y**2 < 30)
    noise = [rng.random(shape) < density for density in (0.1, 0.5, 0.9, 0.99)]
    return torch.from_numpy(np.stack([np.zeros(shape, bool), np.ones(shape, bool), *noise, ring]))


@pytest.mark.parametrize("shape", SHAPES)
def test_distances_are_scipys_with_everything_beyond_the_slice_outside(shape):
    found = squared_distances(masks(shape))
    for ours, mask in zip(found, masks(shape), strict=True):
        expected = distance_transform_edt(np.pad(mask.numpy(), 1))[1:-1, 1:-1]
        np.testing.assert_allclose(ours.double().sqrt(), expected, rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_point_is_the_one_that_a_search_over_all_pixels_finds(shape):
    h, w = shape
    points = farthest_points(masks(shape))
    for point, mask in zip(points.tolist(), masks(shape).tolist(), strict=True):
        inside = [(y, x) for y in range(h) for x in range(w) if mask[y][x]]
        outside = [
            (y, x) for y in range(-1, h + 1) for x in range(-1, w + 1) if not (0 <= y < h and 0 <= x < w and mask[y][x])
        ]
        if not inside:
            continue
        y, x = max(inside, key=lambda at: min((at[0] - y) ** 2 + (at[1] - x) ** 2 for y, x in outside))
        assert point == pytest.approx([(x + 0.5) / w, (y + 0.5) / h])


def test_the_point_of_a_ring_lies_on_the_ring_and_not_in_its_middle():
    mask = masks((24, 24))[-1]
    x, y = (farthest_points(mask[None])[0] * 24).tolist()
    assert mask[int(y), int(x)]
    assert not mask[12, 12]


def test_log_odds_are_those_of_the_softmax():
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    for number in range(4):
        p = logits.softmax(dim=1)[:, number : number + 1]
        torch.testing.assert_close(log_odds(logits, number), (p / (1 - p)).log())


def test_log_odds_are_finite_where_the_softmax_is_rounded_to_one():
    logits = torch.tensor([80.0, -80.0, -90.0]).reshape(1, 3, 1, 1)
    assert log_odds(logits, 0).item() == pytest.approx(160)
    assert log_odds(logits, 2).item() == pytest.approx(-170)


def test_prompts_of_a_class_by_hand():
    logits = torch.zeros(2, 3, 4, 8)
    logits[0, 2, 1:3, 2:7] = 1.0  # class 2 in rows 1 and 2, columns 2 to 6, of the first slice
    labels = logits.argmax(dim=1)
    prompts = Prompts.of(logits.requires_grad_(), labels, 2)
    assert prompts.present.tolist() == [True, False]
    assert prompts.corners[0].tolist() == [0.25, 0.25, 0.875, 0.75]
    assert prompts.points[0].tolist() == [2.5 / 8, 1.5 / 4]  # all are one pixel from the edge: the first
    assert prompts.masks[0, 0, 1, 2].item() == pytest.approx(1 - np.log(2))
    assert prompts.masks.shape == (2, 1, 4, 8)
    assert not any(each.requires_grad for each in (prompts.points, prompts.corners, prompts.masks))
