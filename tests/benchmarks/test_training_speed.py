"""The logic of the script in benchmarks/training_speed; the measurement itself is repeated by hand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import torch
from bedside.distill import DistillationLoss

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "training_speed"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return import_module("training_speed")


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


def test_only_timed_steps_count(script):
    setting = script.Setting(torch.nn.Conv3d(1, 2, 1), script.separate_terms)
    batch = torch.rand(1, 1, 4, 4, 4), torch.full((1, 2, 4, 4, 4), 0.5), torch.zeros(1, 1, 4, 4, 4, dtype=torch.long)
    setting.step(*batch, timed=False)
    assert setting.seconds == float("inf")
    setting.step(*batch, timed=True)
    assert 0 < setting.seconds < float("inf")
    assert setting.model.weight.grad.abs().sum() > 0
