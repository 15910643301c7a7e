"""Pairs of masks of every kind that is difficult for surface scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter, shift

Mask = NDArray[np.bool_]
Rng = np.random.Generator

SPACINGS = ((1.0, 1.0, 1.0), (0.7, 0.7, 5.0), (3.0, 1.25, 0.8))


@dataclass(frozen=True)
class ShapePair:
    """Two masks, neither of them empty.

    Attributes:
        kind: shape of the truth, and the change that makes the prediction.
        truth: [X, Y, Z].
        prediction: the same shape.
        spacing: mm.
    """

    kind: str
    truth: Mask
    prediction: Mask
    spacing: tuple[float, float, float]


def _blob(rng: Rng, size: int) -> Mask:
    noise = gaussian_filter(rng.standard_normal((size,) * 3), size / 8)
    middle = np.zeros((size,) * 3, np.bool_)
    middle[2:-2, 2:-2, 2:-2] = True
    return (noise > np.quantile(noise, 0.8)) & middle


def _at_the_border(rng: Rng, size: int) -> Mask:
    noise = gaussian_filter(rng.standard_normal((size,) * 3), size / 8)
    return noise > np.quantile(noise, 0.6)


def _voxel(rng: Rng, size: int) -> Mask:
    mask = np.zeros((size,) * 3, np.bool_)
    mask[tuple(rng.integers(0, size, 3))] = True
    return mask


def _sheet(rng: Rng, size: int) -> Mask:
    mask = np.zeros((size,) * 3, np.bool_)
    np.moveaxis(mask, rng.integers(3), 0)[rng.integers(2, size - 2), 2:-2, 2:-2] = True
    return mask


def _specks(rng: Rng, size: int) -> Mask:
    return rng.random((size,) * 3) < 0.05


def _full(rng: Rng, size: int) -> Mask:
    return np.ones((size,) * 3, np.bool_)


TRUTHS: dict[str, Callable[[Rng, int], Mask]] = {
    "blob": _blob,
    "blob cut by the border": _at_the_border,
    "one voxel": _voxel,
    "sheet": _sheet,
    "specks": _specks,
    "full volume": _full,
}


def _moved(mask: Mask, rng: Rng) -> Mask:
    return shift(mask.astype(np.uint8), rng.integers(-2, 3, 3), order=0) > 0


def _with_a_speck_far_away(mask: Mask, rng: Rng) -> Mask:
    changed = mask.copy()
    changed[tuple(rng.choice([0, size - 1]) for size in mask.shape)] = True
    return changed


def _half(mask: Mask, rng: Rng) -> Mask:
    changed = mask.copy()
    places = np.argwhere(mask)
    changed[places[len(places) // 2, 0] :] = False
    return changed


CHANGES: dict[str, Callable[[Mask, Rng], Mask]] = {
    "same": lambda mask, rng: mask.copy(),
    "moved": _moved,
    "grown": lambda mask, rng: binary_dilation(mask, iterations=2),
    "shrunk": lambda mask, rng: binary_erosion(mask),
    "half": _half,
    "speck far away": _with_a_speck_far_away,
    "another": lambda mask, rng: _blob(rng, mask.shape[0]),
}


def shape_pairs(rounds: int, size: int, seed: int = 0) -> Iterator[ShapePair]:
    """Yields every kind of truth with every change, in every spacing, ``rounds`` times; empty ones are left out."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        for spacing in SPACINGS:
            for kind, draw in TRUTHS.items():
                for change, apply in CHANGES.items():
                    truth = draw(rng, size)
                    prediction = apply(truth, rng)
                    if truth.any() and prediction.any():
                        yield ShapePair(f"{kind}, {change}", truth, prediction, spacing)
