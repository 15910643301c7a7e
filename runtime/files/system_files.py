"""Reading the small text files of /proc and /sys, any of which may be missing or closed to us."""

from __future__ import annotations

from pathlib import Path

_LONGEST_NUMBER = 20  # digits of 2^64


def read_text(path: Path) -> str:
    """Returns a file's text without trailing NULs and white space, or ``""`` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n\t")
    except OSError:  # absent, or not for us: both are ordinary for these files
        return ""


def is_folder(path: Path) -> bool:
    """Whether a folder is there; a name that no file system takes is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether a file is there; a name that no file system takes is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def whole_number(text: str) -> int | None:
    """Returns a whole number from 0 up that a kernel counter can hold, None for any other text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else None


def read_int(path: Path) -> int | None:
    """Returns the integer in a file, or None where it cannot be read or is not an integer (``max``, ``-``)."""
    try:
        return int(read_text(path))
    except ValueError:
        return None
