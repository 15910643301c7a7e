"""Recognises library errors caused by too little shared memory, with the message that explains the remedy."""

from __future__ import annotations

import re

_SAID = re.compile(r"shared memory|/dev/shm|\bshm_open\b|\bbus error\b", re.IGNORECASE)

SHARED_MEMORY_TOO_SMALL = (
    "the shared memory (/dev/shm) is too small; give the container more of it (docker run --shm-size=2g), "
    "or use fewer processes (--workers, --devices)"
)


def is_shared_memory_error(error: BaseException) -> bool:
    """Whether a library failed for lack of shared memory, judged by its message: there is no error type for it."""
    said = (error.strerror or "") if isinstance(error, OSError) else str(error)  # without the path, which may name it
    return isinstance(error, RuntimeError | OSError) and _SAID.search(said) is not None
