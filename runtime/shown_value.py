"""Formats a refused value for an error message."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, cast

_SHOWN = 40  # characters of a string that a message quotes
_SHOWN_PARTS = 5  # items of a list that a message quotes
_VOWELS = "aeiouAEIOU"


def shown(value: Any) -> str:
    """Formats a refused value for a message: small values as they are, others by their type alone.

    >>> shown(0.5), shown([1, 2]), shown({})
    ('0.5', '(1, 2)', 'a dict')
    """
    if isinstance(value, str):
        return f'"{value[:_SHOWN]}…"' if len(value) > _SHOWN else f'"{value}"'
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, Integral):
        return str(int(value)) if abs(int(value)) < 10**18 else "a number of more than 18 digits"
    if isinstance(value, Real):
        try:
            text = f"{float(value):g}"
            return f"{text}.0" if text.lstrip("-").isdigit() else text  # 2.0 is no whole number, as 2 is
        except OverflowError:  # a fraction that no float can hold
            return "a number of more than 300 digits"
    if isinstance(value, type):
        return f"the type {value.__name__}"
    if isinstance(value, (list, tuple)):
        parts = cast("Sequence[Any]", value)
        if len(parts) <= _SHOWN_PARTS and not any(isinstance(part, (list, tuple)) for part in parts):
            return f"({', '.join(shown(part) for part in parts)})"
    return with_article(type(value).__name__)


def with_article(noun: str) -> str:
    """Returns a type's name with its article, for a message: "an int", "a NumPy array"."""
    if noun == "ndarray":
        return "a NumPy array"
    return f"{'an' if noun[:1] in _VOWELS else 'a'} {noun}"
