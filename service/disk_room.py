"""The room on the disk: what scans may take of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from .refusal import busy

FREE_BYTES = 2**28  # of the disk, which scans leave free


def require_room(folder: Path, needed: int = 0) -> None:
    """Checks that so many bytes can be written into a folder.

    Raises:
        RefusedError: they would take what is to stay free.
    """
    if shutil.disk_usage(folder).free < needed + FREE_BYTES:
        raise busy("there is no room on the disk for this scan; free some, or try again later")
