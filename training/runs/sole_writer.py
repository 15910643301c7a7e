"""Allows one training at a time in a run directory."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from ...runtime.files.sole_process import sole_process

LOCK = "run.lock"


def sole_writer(folder: Path) -> AbstractContextManager[None]:
    """Locks a run directory while the ``with`` block trains in it; see `sole_process`.

    Only the first process of a training calls this.

    Args:
        folder: run directory; created if needed.

    Raises:
        ResourceError: another process trains in the directory, or it cannot be written.
    """
    return sole_process(folder, LOCK, "trains", "wait for it or stop it, then add --resume; or choose another -o")
