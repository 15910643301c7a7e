"""Slots limit how many inferences of an engine run at the same time; each slot holds what one inference needs."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Lock
from typing import Generic, TypeVar, cast

from ..errors import UsageError

Slot = TypeVar("Slot")


class Slots(Generic[Slot]):
    """A fixed number of slots; a thread that finds none free waits. Safe to share between threads.

    A forked child process has none of the engine's threads, and a slot in use at the time of the fork never becomes
    free there: a thread that waits for it would hang. So in a child, `hold` refuses.

    Args:
        slots: the content of each slot, such as an inference request or a session.
    """

    def __init__(self, slots: Iterable[Slot]) -> None:
        self._free: SimpleQueue[Slot | None] = SimpleQueue()  # emptied to None by `close`
        self._closing = Lock()
        self._process = os.getpid()
        self.closed = False  # true as soon as `close` starts
        self.count = 0
        for slot in slots:
            self._free.put(slot)
            self.count += 1

    @property
    def forked(self) -> bool:
        """Whether this process was forked from the one that the slots belong to."""
        return os.getpid() != self._process

    @contextmanager
    def hold(self) -> Generator[Slot]:
        """Waits for a free slot and holds it for the ``with`` block.

        Raises:
            UsageError: the engine is closed, or belongs to the process that this one was forked from.
        """
        if self.forked:
            raise UsageError("the engine was opened before this process was forked; load the bundle after the fork")
        slot = self._free.get()
        try:
            if self.closed:
                raise UsageError("the engine is closed; load the bundle again")
            yield cast(Slot, slot)  # `close` empties the slots only after it has set `closed`
        finally:
            self._free.put(slot)

    def close(self) -> None:
        """Waits for running inferences and drops the content of the slots; may be called twice.

        Threads that wait in `hold` at this moment get a `UsageError`.
        """
        self.closed = True
        if self.forked:  # the running inferences are the parent process's
            return
        with self._closing:
            for _ in range(self.count):  # collect all slots before returning any
                self._free.get()
            for _ in range(self.count):
                self._free.put(None)
