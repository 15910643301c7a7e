"""Measures the time of each stage; nested stages are never counted twice."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Adds up milliseconds per stage; while an inner stage runs, the outer one is paused.

    Stages nest because the blending pulls each window, so a window is computed inside the stage ``blend``.
    """

    def __init__(self, stages: tuple[str, ...]) -> None:
        self.milliseconds = dict.fromkeys(stages, 0.0)
        self._running: list[str] = []
        self._since = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Adds the time of the ``with`` block to the stage ``name``."""
        self._charge()
        self._running.append(name)
        try:
            yield
        finally:
            self._charge()
            self._running.pop()

    def timed(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yields the items and adds the time spent producing each one to the stage ``name``."""
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
