"""Time spent per stage, each moment counted once."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Counts milliseconds per stage; while an inner stage runs, the outer one stands still.

    Inner stages occur because windows are computed when the blending asks for them.
    """

    def __init__(self, stages: tuple[str, ...]) -> None:
        self.milliseconds = dict.fromkeys(stages, 0.0)
        self._running: list[str] = []
        self._since = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Counts the block's time to the stage ``name``."""
        self._charge()
        self._running.append(name)
        try:
            yield
        finally:
            self._charge()
            self._running.pop()

    def timed(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yields the items, and counts the time that each is waited for to the stage ``name``."""
        iterator = iter(items)
        while True:
            with self.stage(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._running:
            self.milliseconds[self._running[-1]] += (now - self._since) * 1000
        self._since = now
