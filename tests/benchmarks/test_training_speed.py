"""The logic of the script in benchmarks/training_speed; the measurement itself is repeated by hand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import torch
from bedside.distill import DistillationLoss
from bedside.training.loop.precision_check import PrecisionComparison

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "training_speed"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return import_module("training_speed")


@pytest.fixture
def small_layers(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return import_module("small_layers")


def test_small_layers_have_room_for_their_kernel_and_no_larger_stride(small_layers):
    found = [*small_layers.layers(2, 3)]
    assert {voxels for voxels, _, _ in found} == {(y, x) for y in range(1, 6) for x in range(1, 6)}
    assert {stride for _, stride, _ in found} == {1, 2, 3}
    assert all(min(voxels) + 2 * padding >= 3 for voxels, _, padding in found)


@pytest.mark.parametrize(("factor", "wrong"), [(1.0, False), (1.2, True), (float("nan"), True)])
def test_a_layer_is_wrong_if_its_gradient_is_not_that_of_float32(small_layers, monkeypatch, factor, wrong):
    convolve = torch.nn.functional.conv2d

    def convolved(image, weight, **options):
        if not torch.is_autocast_enabled("cpu"):
            return convolve(image, weight, **options)
        with torch.autocast("cpu", enabled=False):  # whatever this processor makes of bfloat16
            return convolve(image, weight * factor, **options)

    monkeypatch.setattr(small_layers.F, "conv2d", convolved)
    assert small_layers.is_wrong(((4, 4), 1, 1), 3) == wrong


def test_both_settings_compute_the_same_loss(script):
    logits, labels = torch.randn(2, 4, 8, 8, 8), torch.randint(4, (2, 1, 8, 8, 8))
    teacher = torch.randn(2, 4, 8, 8, 8).softmax(1)
    expected = DistillationLoss(0.5)(logits, teacher, labels)
    assert script.separate_terms(logits, teacher, labels).item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_row_has_steps_per_second_ratios_and_the_losss_share(script):
    before, after = (
        script.Setting(torch.nn.Identity(), script.separate_terms, network_seconds=network, loss_seconds=loss)
        for network, loss in ((1.5, 0.5), (0.75, 0.25))
    )
    line = script.row("unet-nano", 6, before, after)
    assert line == "| unet-nano | 6 | 0.500 | 1.000 | 2.00 | 2.00 | 2.00 | 25.0% → 25.0% |"


@pytest.mark.parametrize(("cosine", "verdict"), [(0.99, "sound"), (0.0, "wrong")])
def test_a_row_of_bfloat16_has_steps_per_second_ratios_and_a_verdict_on_the_gradients(script, cosine, verdict):
    full, mixed = (
        script.Setting(torch.nn.Identity(), script.separate_terms, network_seconds=network, loss_seconds=0.25)
        for network in (1.75, 0.75)
    )
    line = script.bfloat16_row("unet-nano", 6, full, mixed, PrecisionComparison(cosine, 1, 1))
    assert line == f"| unet-nano | 6 | 0.500 | 1.000 | 2.00 | 2.33 | {verdict} |"


@pytest.mark.parametrize("mixed", [True, False])
def test_a_step_runs_in_its_settings_precision(script, mixed):
    seen = []
    model = torch.nn.Conv3d(1, 2, 1)
    model.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    script.Setting(model, script.separate_terms, mixed=mixed).step(*script.example(2, 4, 1), timed=True)
    assert seen == [mixed]


def test_only_timed_steps_count(script):
    setting = script.Setting(torch.nn.Conv3d(1, 2, 1), script.separate_terms)
    batch = torch.rand(1, 1, 4, 4, 4), torch.full((1, 2, 4, 4, 4), 0.5), torch.zeros(1, 1, 4, 4, 4, dtype=torch.long)
    setting.step(*batch, timed=False)
    assert setting.seconds == float("inf")
    setting.step(*batch, timed=True)
    assert 0 < setting.seconds < float("inf")
    assert setting.model.weight.grad.abs().sum() > 0
