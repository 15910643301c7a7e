"""Threads that run windows, and what is said where the system starts none."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from .errors import ResourceError


@contextmanager
def thread_pool(threads: int, name: str) -> Generator[ThreadPoolExecutor]:
    """Holds some threads while the block runs.

    Args:
        threads: number of threads; each starts when it is first needed.
        name: beginning of their names.

    Raises:
        ResourceError: the system starts no thread, for want of memory for its stack or by a limit.
    """
    with ThreadPoolExecutor(threads, name) as pool:
        try:
            yield pool
        except RuntimeError as error:
            if "can't start new thread" not in str(error):  # CPython's words; it has no class for this
                raise
            raise ResourceError(
                "the system starts no more threads: free memory, or raise the limits of the process (ulimit -v, -u)"
            ) from None
