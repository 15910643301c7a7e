"""Adapts error messages to data sets: the readers of scans recommend options that only `segment` has."""

from __future__ import annotations

import re

_FOLLOWABLE = (
    (r"choose one \(--volume[^)]*\)", "store the one to train on as a 3D file and list that"),
    (r"say which is right \(--use-[^)]*\)", "correct the header, or export the scan again"),
    (r", or [^,;]* \(--[^)]*\)", ""),
    (r" \(--[^)]*\)", ""),
)


def without_options(message: str) -> str:
    """Returns a reader's message with each advice that names an option of `segment` replaced or removed."""
    for advice, instead in _FOLLOWABLE:
        message = re.sub(advice, instead, message)
    return message
