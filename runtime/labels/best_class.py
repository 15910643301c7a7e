"""Argmax over classes, and the integer type that holds the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_dtype(num_classes: int) -> type[Any]:
    """Returns the smallest unsigned type that holds every label index: uint8 or uint16."""
    return np.uint8 if num_classes <= 256 else np.uint16


def best_class(scores: NDArray[Any]) -> NDArray[Any]:
    """Returns the index [...] of the largest of the scores [C, ...]; of equal scores the lower class wins.

    Many times faster than `np.argmax` along a leading axis.

    >>> best_class(np.array([[0.2, 0.5], [0.8, 0.5]])).tolist()
    [1, 0]
    """
    best = scores[0].copy()
    dtype = label_dtype(len(scores))
    labels = np.zeros(best.shape, dtype)
    for index in range(1, len(scores)):
        better = scores[index] > best
        np.maximum(best, scores[index], out=best)
        np.maximum(labels, better * dtype(index), out=labels)  # a later class has the larger index
    return labels
