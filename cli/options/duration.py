"""Reads a duration as people write it: ``500ms``, ``20s``, ``30min``, ``2h``."""

from __future__ import annotations

import re

from ...runtime.errors import UsageError
from ...runtime.shown_value import shown

_UNITS = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def duration(option: str, text: str) -> float:
    """Returns a duration in s; a plain number is in s, ``m`` is ``min``.

    >>> duration("--sustained", "30min")
    1800.0

    Args:
        option: name of the option, for the message.
        text: what the user wrote.

    Raises:
        UsageError: it is no duration.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNITS:
        raise UsageError(f"{option}: expected a duration like 500ms, 20s, 30min or 2h, got {shown(text)}")
    return float(found[1]) * _UNITS[found[2]]
