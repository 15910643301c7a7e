"""Writes characters that a stream's encoding lacks as readable ASCII: no text is lost, and none ends a command."""

from __future__ import annotations

import codecs

READABLE = "bedside-readable"  # the error handler, for `open`, `reconfigure` and `str.encode`

SIGNS = {
    "×": "x",
    "…": "...",
    "–": "-",
    "−": "-",
    "±": "+-",
    "°": "deg ",
    "³": "^3",
    "λ": "lambda",
    "Δ": "delta ",
    "→": "->",
    "≤": "<=",
    "≈": "~",
    "≥": ">=",
}


def register() -> None:
    """Registers the error handler `READABLE` with Python's codecs."""
    codecs.register_error(READABLE, _replaced)


def readable(text: str, encoding: str) -> str:
    """Returns a text as a stream of this encoding will show it, so that tables are laid out for what is seen.

    >>> readable("5 × 5 mm", "ascii")
    '5 x 5 mm'
    """
    register()
    return text.encode(encoding, READABLE).decode(encoding)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Replaces characters in `SIGNS` by their ASCII forms, others by escapes, which lose nothing."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(SIGNS.get(sign) or _escaped(sign) for sign in signs), error.end


def _escaped(sign: str) -> str:
    return sign.encode("ascii", "backslashreplace").decode("ascii")
