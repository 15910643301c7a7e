import logging

import numpy as np
import pytest
from bedside.training.loop.loss_watch import WINDOW, LossTrend

STEPS = np.arange(4800)  # 200 epochs of 24 steps


def reported_at(losses):
    """The step after which the loss is reported, or None."""
    trend = LossTrend()
    for step, loss in enumerate(losses):
        trend = trend.after(float(loss)).with_warning(0)
        if trend.warned:
            return step
    return None


def descent(floor=0.4, start=3.6, scale=400):
    return floor + (start - floor) * np.exp(-STEPS / scale)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("spread", [0.1, 0.3, 0.6])
def test_a_noisy_descent_is_not_reported(seed, spread):
    noise = np.random.default_rng(seed).lognormal(-(spread**2) / 2, spread, len(STEPS))
    assert reported_at(descent() * noise) is None


@pytest.mark.parametrize("seed", range(10))
def test_rare_hard_crops_are_not_reported(seed):
    hard = np.random.default_rng(seed).random(len(STEPS)) < 0.05
    assert reported_at(np.where(hard, 2.5, descent(floor=0.1))) is None


def test_a_long_plateau_before_the_descent_is_not_reported():
    assert reported_at(np.concatenate([np.full(1000, 3.6), descent()])) is None


def test_a_descent_in_a_hundredth_of_the_unit_is_not_reported():
    assert reported_at(0.01 * descent()) is None


def test_a_fall_back_to_background_everywhere_is_reported_within_one_window():
    """From 0.4 back to 1.5: the mean of 50 steps passes 0.4 + 0.25 · 3.6 = 1.3 after 41 of them."""
    losses = np.concatenate([descent(scale=50)[:1000], np.full(200, 1.5)])
    assert 1000 < reported_at(losses) <= 1000 + 42


def test_a_climb_from_the_very_first_step_is_reported_early():
    assert reported_at(3.6 * 1.005 ** np.arange(500)) < 150


def test_nothing_is_said_before_a_window_is_full():
    trend = LossTrend()
    for _ in range(WINDOW - 1):
        trend = trend.after(1.0)
    assert trend.first is None
    assert not trend.diverges


def test_it_is_said_once_with_what_to_do(caplog):
    trend = LossTrend()
    with caplog.at_level(logging.WARNING):
        for loss in [1.0] * WINDOW + [9.0] * WINDOW:
            trend = trend.after(loss).with_warning(7)
    assert len(caplog.records) == 1
    assert "epoch 7" in caplog.text
    assert "lower --lr" in caplog.text
