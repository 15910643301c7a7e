"""The papers' learning-rate schedule."""

from __future__ import annotations

import math


def learning_rate(epoch: int, *, base: float, epochs: int, warmup: int) -> float:
    """Returns the learning rate of an epoch: exponential warm-up, then polynomial decay.

    Epoch e < warmup: ``base · exp(10 (e / warmup − 1))``; later ``base · (1 − e / epochs) ^ 0.9``. The AutoSAM Adapter
    paper calls this "warm-up exponential decay"; the formula is that of its released code.

    >>> f"{learning_rate(4, base=5e-4, epochs=200, warmup=5):.2e}"
    '6.77e-05'

    Args:
        epoch: counted from 0.
        base: learning rate at the end of the warm-up.
        epochs: number of epochs of the training.
        warmup: number of warm-up epochs; 0 for none.
    """
    if epoch < warmup:
        return base * math.exp(10 * (epoch / warmup - 1))
    return base * (1 - epoch / epochs) ** 0.9
