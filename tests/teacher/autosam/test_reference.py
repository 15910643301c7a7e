"""The whole network against the plain one of `reference.py`: same weights, same logits, same gradients."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher import build_teacher
from bedside.teacher.autosam.attention import MASKED, axis_mask
from bedside.teacher.autosam.network import AutoSam
from bedside.teacher.autosam.reference import plain_logits, shift_mask
from torch.utils.flop_counter import FlopCounterMode

torch.set_num_threads(1)

PATCH = (32, 64, 32)  # one window of tokens along two axes, two along the third


def make(**options) -> AutoSam:
    """A nano teacher in double precision whose every parameter has been moved away from its start."""
    torch.manual_seed(0)
    model = build_teacher("autosam", **{"num_classes": 3, "sam": "vit_nano", "patch": PATCH, **options}).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize(
    "options",
    [
        {"patch": (32, 96, 64)},
        {"sam": "vit_small", "patch": 32},
        {"preset": "released_code"},
        {"depth_axis": "y"},
        {"depth_axis": "x", "patch": (32, 64, 96)},
        {"apg": False},
        {"mlam": False},
        {"apg": False, "mlam": False},
        {"patch": (32, 32, 160)},
    ],
    ids=str,
)
def test_logits_equal_those_of_the_plain_network(options):
    model = make(**options)
    x = torch.rand(1, 1, *model.patch, dtype=torch.float64)
    with torch.no_grad():
        ours, plain = model(x), plain_logits(model, x)
    assert plain.std() > 0.1
    torch.testing.assert_close(ours, plain, atol=1e-9, rtol=0)


@pytest.mark.parametrize("train_encoder", [True, False])
def test_gradients_equal_those_of_the_plain_network(train_encoder):
    model = make(train_encoder=train_encoder)
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    x = torch.rand(1, 1, *PATCH, dtype=torch.float64)
    ours = torch.autograd.grad(model(x).square().sum(), list(trainable.values()))
    plain = torch.autograd.grad(plain_logits(model, x).square().sum(), list(trainable.values()))
    for name, one, other in zip(trainable, ours, plain, strict=True):
        assert other.abs().max() > 0, name
        assert (one - other).abs().max() <= 1e-9 * other.abs().max(), name


def test_float32_logits_lie_within_1e_4_of_the_plain_network_in_float64():
    model = make()
    x = torch.rand(1, 1, *PATCH, dtype=torch.float64)
    with torch.no_grad():
        plain = plain_logits(model, x)
        ours = model.float()(x.float()).double()
    torch.testing.assert_close(ours, plain, atol=1e-4, rtol=0)


def test_bfloat16_logits_are_finite_and_as_close_to_float32_as_the_plain_networks():
    torch.manual_seed(0)
    model = build_teacher("autosam", num_classes=3, sam="vit_nano", patch=PATCH)
    x = torch.rand(1, 1, *PATCH)
    with torch.no_grad():
        exact = model(x)
        with torch.autocast("cpu", torch.bfloat16):
            ours, plain = model(x), plain_logits(model, x)
    assert ours.dtype == torch.bfloat16
    assert ours.isfinite().all()
    ours_off, plain_off = ((rounded.float() - exact).abs().mean() / exact.std() for rounded in (ours, plain))
    assert ours_off < 0.05
    assert ours_off < 1.5 * plain_off


def test_the_sum_of_three_axis_masks_is_the_brute_force_mask_of_a_shifted_volume():
    tokens, shift = (16, 8, 24), (4, 0, 4)
    axes = [axis_mask(size, move) for size, move in zip(tokens, shift, strict=True)]
    d, h, w = (mask[place] for mask, place in zip(axes, _places(), strict=True))
    ours = (d + h + w).reshape(2 * 1 * 3, 512, 512) <= MASKED
    brute = shift_mask(tokens, shift, torch.float32, torch.device("cpu")) < 0
    assert torch.equal(ours, brute)
    assert brute.any(dim=(1, 2)).tolist() == [False, False, True, True, True, True]


def _places() -> list[tuple[slice | None, ...]]:
    """Where [windows, 8, 8] of each axis lies in [windows d, h, w, queries d, h, w, keys d, h, w]."""
    every = slice(None)
    return [tuple(every if place in (axis, 3 + axis, 6 + axis) else None for place in range(9)) for axis in range(3)]


def test_one_forward_of_the_plain_network_at_128_is_the_releases_9_12_tflop():
    with torch.device("meta"):
        model = build_teacher("autosam", num_classes=14, sam="vit_b")
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            logits = plain_logits(model, torch.empty(1, 1, 128, 128, 128))
    assert logits.shape == (1, 14, 128, 128, 128)
    assert round(counter.get_total_flops() / 1e12, 2) == 9.12
