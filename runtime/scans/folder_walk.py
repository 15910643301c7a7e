"""Walks through a folder and all below it, each folder once, whatever links lead there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def walk_folder(folder: Path, onerror: Callable[[OSError], None]) -> Iterator[list[Path]]:
    """Yields the files of a folder, then those of each of its subfolders, in the order of their names.

    A link to a folder is followed; a folder to which several links lead, in a circle perhaps, comes once. A link that
    leads nowhere is among the files.

    Args:
        folder: where to begin.
        onerror: is given what the system says of a folder that cannot be read.
    """
    seen = set[str]()
    for root, folders, names in os.walk(folder, onerror=onerror, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield [Path(root, name) for name in sorted(names)]
