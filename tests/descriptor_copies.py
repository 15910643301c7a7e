"""Copies of a file's descriptors, as a child has them that was forked while the file was open."""

import os
from contextlib import ExitStack
from pathlib import Path


def copy_descriptors(file: Path, closing: ExitStack) -> None:
    """Copies this process's descriptors of an open file; the stack closes the copies."""
    listed = [each for each in Path("/proc/self/fd").iterdir() if each.exists() and each.samefile(file)]
    if not listed:
        raise ValueError("expected an open file")
    for each in listed:
        closing.callback(os.close, os.dup(int(each.name)))
