"""The places of an engine: how many inferences run at the same time, each with what it needs for itself."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Lock
from typing import Generic, TypeVar

from ..errors import UsageError

Slot = TypeVar("Slot")


class Slots(Generic[Slot]):
    """A fixed number of places; who finds none free waits. Safe to share between threads.

    A process forked meanwhile has none of the engine's threads, and a place taken at that moment is taken there for
    ever: who waits for it hangs. There the places count as closed.

    Args:
        slots: what each place holds: an inference request, a session.
    """

    def __init__(self, slots: Iterable[Slot]) -> None:
        self._free: SimpleQueue[Slot | None] = SimpleQueue()  # None: the engine is closed
        self._closing = Lock()
        self._process = os.getpid()
        self.closed = False  # from the moment closing begins
        self.count = 0
        for slot in slots:
            self._free.put(slot)
            self.count += 1

    @contextmanager
    def take(self) -> Generator[Slot]:
        """Waits for a free place and lends it for the block.

        Raises:
            UsageError: the engine is closed, or belongs to the process that this one was forked from.
        """
        if os.getpid() != self._process:
            raise UsageError("the engine was opened before this process was forked; load the bundle after the fork")
        slot = self._free.get()
        try:
            if self.closed or slot is None:
                raise UsageError("the engine is closed; load the bundle again")
            yield slot
        finally:
            self._free.put(slot)

    def close(self) -> None:
        """Waits for the inferences under way and drops what the places hold; may be called twice.

        Who waits for a place while this begins is told, not served.
        """
        self.closed = True
        if os.getpid() != self._process:  # what is under way is so in the other process
            return
        with self._closing:
            for _ in range(self.count):  # all are collected before one is given back
                self._free.get()
            for _ in range(self.count):
                self._free.put(None)
