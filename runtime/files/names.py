"""File names as UTF-8 text for records and tables; on disk a file name may be any bytes."""

from __future__ import annotations

import os


def utf8_name(name: str) -> str:
    r"""Returns a file's name as UTF-8 text, the same in every locale; invalid bytes become escapes (``\xfc``)."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
