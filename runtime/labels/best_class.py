"""The best class of a voxel, and the type that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_dtype(num_classes: int) -> type[Any]:
    """Returns the smallest unsigned type that holds every label index: uint8 or uint16."""
    return np.uint8 if num_classes <= 256 else np.uint16


def best_class(scores: NDArray[Any]) -> NDArray[Any]:
    """Returns the best class [...] of scores [C, ...]; many times faster than np.argmax along a leading axis.

    Of equal scores the lower class wins.
    """
    best = scores[0].copy()
    dtype = label_dtype(len(scores))
    labels = np.zeros(best.shape, dtype)
    for index in range(1, len(scores)):
        better = scores[index] > best
        np.maximum(best, scores[index], out=best)
        np.maximum(labels, better * dtype(index), out=labels)  # a later class has the larger index
    return labels
