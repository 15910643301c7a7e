"""File names as text for records and tables, which are UTF-8 while a file's name may be any bytes."""

from __future__ import annotations

import os


def utf8_name(name: str) -> str:
    r"""Returns a file's name as UTF-8 text, the same in every locale; bytes that are none become escapes (``\xfc``)."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
