"""UTF-8 text: files as editors write them, with or without a byte order mark, and file names as text."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from ..errors import InputError
from ..shortage import raise_shortage

_OTHERS = (  # UTF-32 first: its mark begins with that of UTF-16
    ("UTF-32", (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
    ("UTF-16", (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
)
_UTF16_STARTS = ([True, False, True, False], [False, True, False, True])  # where zeros stand without a mark


def read_utf8(path: Path, named: str) -> str:
    """Returns the contents of a text file, with its line ends unchanged and without a UTF-8 byte order mark.

    Args:
        path: the file.
        named: the file's description in error messages, such as ``task file "liver.toml"``.

    Raises:
        InputError: the file cannot be read, or is not UTF-8.
        ResourceError: file descriptors ran out, or the disk failed.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise_shortage(error, named)
        raise InputError(f"{named} cannot be read: {getattr(error, 'strerror', None) or 'not a path'}") from None
    other = next((name for name, marks in _OTHERS if content.startswith(marks)), None)
    if other is None and [byte == 0 for byte in content[:4]] in _UTF16_STARTS:
        other = "UTF-16"
    if other is None and 0 in content:  # a scan, a zip, a network
        raise InputError(f"{named} is not valid: expected UTF-8 text, got a file that is no text; choose another file")
    if other is not None:
        raise InputError(f'{named} is not valid: expected UTF-8 text, got {other}; save it as "UTF-8" in your editor')
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{named} is not valid: expected UTF-8 text, got another encoding (byte {error.start}); "
            'save it as "UTF-8" in your editor'
        ) from None


def utf8_name(name: str) -> str:
    r"""Returns a file's name as UTF-8 text, the same in every locale; invalid bytes become escapes (``\xfc``).

    On disk a file name may be any bytes; records and tables hold text.
    """
    try:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # no name from the disk but text, which this locale cannot encode
        return name


def native_name(text: str) -> str:
    """Returns a file name read from a UTF-8 file in the form in which this process opens files.

    They differ only in a locale that cannot encode the name, such as ``C`` without Python's UTF-8 mode.
    """
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return os.fsdecode(text.encode("utf-8", "surrogateescape"))
    return text
