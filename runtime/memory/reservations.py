"""What the scans under way in this process will still take: their predictions, less what they have taken by now.

Without it, scans that threads start at the same time would each be reserved the same free memory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from .resident import resident_bytes


class NeedsMemory(Protocol):
    """Whose memory was predicted."""

    @property
    def bytes(self) -> int:
        """What it takes at most."""
        ...


Choice = TypeVar("Choice", bound=NeedsMemory)


class Reservations:
    """The predictions of all that is under way; safe to share between threads."""

    def __init__(self) -> None:
        self._deciding = threading.Lock()
        self._bytes = 0
        self._before = 0  # what the process held when the first of those under way began

    @contextmanager
    def reserve(self, choose: Callable[[int], Choice]) -> Generator[Choice]:
        """Chooses while nobody else does, and keeps the memory of what was chosen for the block.

        Args:
            choose: returns what is to be done, given the bytes that others will still take.

        Yields:
            What was chosen.
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
        taken = max(0, resident_bytes() - self._before)
        return max(0, self._bytes - taken)


_reservations = Reservations()


def reservations() -> Reservations:
    """Returns those of this process."""
    return _reservations


def _forget() -> None:
    global _reservations
    _reservations = Reservations()  # a child has none of its parent's scans, and perhaps its lock, taken


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
