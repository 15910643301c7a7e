"""Class probabilities from a network's logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = 255
"""A stored probability is a whole number of 1/255."""


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the class probabilities of logits, both [C, D, H, W]."""
    shifted = np.exp(logits - logits.max(axis=0, keepdims=True))
    shifted /= shifted.sum(axis=0, keepdims=True)
    return shifted


def to_levels(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Returns probabilities 0…1 as the nearest of the levels 0…255.

    >>> to_levels(np.array([0.0, 0.5, 1.0], np.float32)).tolist()
    [0, 128, 255]
    """
    return np.rint(probabilities * LEVELS).astype(np.uint8)
