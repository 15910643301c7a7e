"""Reads the small text files of /proc and /sys; each may be missing or unreadable on some systems."""

from __future__ import annotations

from pathlib import Path

_LONGEST_NUMBER = 20  # digits of 2^64


def read_text(path: Path) -> str:
    """Returns a file's text without trailing NULs and white space, or ``""`` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n\t")
    except OSError:  # absent or no permission: both are ordinary for these files
        return ""


def is_folder(path: Path) -> bool:
    """Whether a folder exists; False also for a name that no file system allows."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether a file exists; False also for a name that no file system allows."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def whole_number(text: str) -> int | None:
    """Returns the whole number in ``text``: from 0, at most 20 digits like a kernel counter; None for other text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else None


def read_int(path: Path) -> int | None:
    """Returns the integer in a file, or None if the file cannot be read or holds something else (``max``, ``-``)."""
    try:
        return int(read_text(path))
    except ValueError:
        return None
