"""Reads the modality and the number of image channels from a data set's list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ....runtime.errors import InputError
from ....runtime.task import Modality
from .listing import ONE_CHANNEL

_WORDS = {
    Modality.CT: {"ct", "cta", "cect", "ncct", "ncect", "ldct", "cbct", "tomography"},
    Modality.MR: {
        "mr", "mri", "mra", "magnetic", "t1", "t1w", "t1c", "t1ce", "t1gd", "t1n", "t2", "t2w", "t2f", "t2star",
        "flair", "dwi", "adc", "swi", "pd", "pdw", "cmr", "bssfp",
    },
}  # fmt: skip
_FIELDS = ("modality", "channel_names")


def channel_names_of(content: dict[str, Any], title: str) -> tuple[str, ...]:
    """Returns the names of a list's only image channel, from ``modality`` and ``channel_names``.

    Raises:
        InputError: the list names several channels.
    """
    words: list[str] = []
    for field in _FIELDS:
        channels = _channels(content.get(field))
        if len(channels) > 1:
            raise InputError(
                f'data set {title}: expected one image channel, got {len(channels)} in "{field}" '
                f"({', '.join(channels[:4])}{', …' if len(channels) > 4 else ''}); {ONE_CHANNEL}"
            )
        words += channels
    return tuple(dict.fromkeys(words))


def modality_of(words: Iterable[str]) -> Modality | None:
    """Returns the modality that names such as "MRI", "T1w" or "ct" mean; None for neither CT nor MR, or for both."""
    parts = {part for word in words for part in re.split(r"[\W_]+", word.lower())}
    meant = [modality for modality, names in _WORDS.items() if not names.isdisjoint(parts)]
    return meant[0] if len(meant) == 1 else None


def _channels(listed: object) -> list[str]:
    if isinstance(listed, dict):
        return [str(name) for name in listed.values()]
    if isinstance(listed, list):
        return [str(name) for name in listed]
    return [listed] if isinstance(listed, str) and listed else []
