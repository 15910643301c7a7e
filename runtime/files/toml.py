"""Reads TOML on every supported Python."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..errors import InputError
from .text import read_utf8

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Returns the contents of a TOML file; a byte order mark is ignored.

    Args:
        path: the file.
        what: the kind of file in error messages, such as "task file".

    Raises:
        InputError: the file cannot be read, is not UTF-8 or is not TOML.
    """
    named = f'{what} "{path.name}"'
    try:
        return tomllib.loads(read_utf8(path, named))
    except (ValueError, RecursionError) as error:  # ValueError: not TOML, or a number of thousands of digits
        raise InputError(f"{named} is not valid: {error}") from None
