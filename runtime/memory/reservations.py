"""Memory reserved for scans in progress: predicted peaks minus what is already allocated.

Without reservations, scans that several threads start at the same time would all count on the same free memory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from .resident import resident_bytes


class NeedsMemory(Protocol):
    """A plan whose peak memory was predicted."""

    @property
    def bytes(self) -> int:
        """Predicted peak memory, in bytes."""
        ...


Plan = TypeVar("Plan", bound=NeedsMemory)


class Reservations:
    """The memory reserved by all scans in progress; safe to share between threads."""

    def __init__(self) -> None:
        self._deciding = threading.Lock()
        self._bytes = 0
        self._before = 0  # resident bytes when the first of the scans in progress began

    @contextmanager
    def reserve(self, choose: Callable[[int], Plan]) -> Generator[Plan]:
        """Chooses a plan under a lock and reserves its memory for the ``with`` block.

        Args:
            choose: returns the plan, given the bytes that others have reserved and not yet allocated. It runs under the
                lock of all scans of the process, so it must not call the caller's code, which may wait for one of them.

        Yields:
            The chosen plan.
        """
        with self._deciding:
            chosen = choose(self._outstanding())
            if not self._bytes:
                self._before = resident_bytes()
            self._bytes += chosen.bytes
        try:
            yield chosen
        finally:
            with self._deciding:
                self._bytes -= chosen.bytes

    def _outstanding(self) -> int:
        if not self._bytes:
            return 0
        allocated = max(0, resident_bytes() - self._before)
        return max(0, self._bytes - allocated)


_reservations = Reservations()


def reservations() -> Reservations:
    """Returns the reservations of this process."""
    return _reservations


def _forget() -> None:
    global _reservations
    _reservations = Reservations()  # a forked child runs none of its parent's scans, and may have copied a locked lock


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
