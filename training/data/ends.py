"""Finds labels that are the two ends of something along the body: its front and back, or its top and bottom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ...runtime.labels.sides import split_words

Axis = Literal["AP", "SI"]

_FIRST: dict[Axis, tuple[str, ...]] = {
    "AP": ("anterior", "ant", "ventral", "front", "vordere", "vorderer", "vorderes"),
    "SI": ("superior", "sup", "upper", "cranial", "top", "obere", "oberer", "oberes"),
}
_SECOND: dict[Axis, tuple[str, ...]] = {
    "AP": ("posterior", "post", "dorsal", "back", "hintere", "hinterer", "hinteres"),
    "SI": ("inferior", "inf", "lower", "caudal", "bottom", "untere", "unterer", "unteres"),
}


def find_ends(labels: Sequence[str], axis: Axis) -> tuple[tuple[str, str], ...]:
    """Returns the pairs of names that are equal except for a word for one end of an axis.

    Args:
        labels: names of labels.
        axis: from front to back (AP) or from top to bottom (SI).

    >>> find_ends(["background", "upper lobe", "middle lobe", "lower lobe"], "SI")
    (('upper lobe', 'lower lobe'),)
    """
    words = {label: tuple(word.lower() for word in split_words(label)) for label in labels}
    pairs: list[tuple[str, str]] = []
    for first, second in zip(_FIRST[axis], _SECOND[axis], strict=True):
        others = {_without(words[label], second): label for label in labels if second in words[label]}
        named = (label for label in labels if first in words[label])
        pairs += [(label, others[rest]) for label in named if (rest := _without(words[label], first)) in others]
    return tuple(dict.fromkeys(pairs))


def _without(words: tuple[str, ...], end: str) -> tuple[str, ...]:
    return tuple(word for word in words if word != end)
