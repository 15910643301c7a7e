"""Calls a function at regular intervals while a block runs: what memory, energy and telemetry are sampled with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType


class SamplerThread:
    """Calls a function every so many seconds, in a thread of its own, while a ``with`` block runs.

    The first call comes one interval after the start. When the block ends, also by an error, the thread has ended too,
    so that the caller may take a last sample.

    Args:
        sample: the function. Once it has raised, it is not called again; its error is raised where the block ends,
            unless the block itself raises.
        interval: time between calls, in seconds.
        name: name of the thread.
    """

    def __init__(self, sample: Callable[[], object], interval: float, name: str) -> None:
        self._sample = sample
        self._interval = interval
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> SamplerThread:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._interval):
                self._sample()
        except Exception as error:  # raised again in the thread that runs the block
            self._error = error
