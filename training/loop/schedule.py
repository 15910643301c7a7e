"""The papers' learning-rate schedule."""

from __future__ import annotations

import math


def learning_rate(epoch: int, *, base: float, epochs: int, warmup: int) -> float:
    """Returns the learning rate of an epoch: exponential warm-up, then polynomial decay.

    Epoch e < warmup: ``base · exp(10 (e / warmup − 1))``; later ``base · (1 − e / epochs) ^ 0.9``. The text of the
    AutoSAM Adapter names it "warm-up exponential decay"; the formula is its released code's.

    Args:
        epoch: counted from 0.
        base: learning rate at the end of the warm-up.
        epochs: length of the training.
        warmup: epochs of warm-up; 0 for none.
    """
    if epoch < warmup:
        return base * math.exp(10 * (epoch / warmup - 1))
    return base * (1 - epoch / epochs) ** 0.9
