"""Stopping a training run without losing it."""

from __future__ import annotations

import logging
import signal
from types import FrameType, TracebackType

from ..runtime.errors import BedsideError, ExitCode

_log = logging.getLogger("bedside.training")


class TrainingInterrupted(BedsideError):  # noqa: N818 - an outcome, not a fault
    """Training was asked to stop; its state is saved and ``--resume`` goes on from there."""

    def __init__(self, signum: int) -> None:
        super().__init__("stopped on request; the state is saved, add --resume to go on")
        self.exit_code = ExitCode.TERMINATED if signum == signal.SIGTERM else ExitCode.INTERRUPTED


class StopRequest:
    """Context manager that turns SIGTERM and Ctrl-C into a request the loop can honour between two steps.

    Attributes:
        signum: the signal that arrived, or None.
    """

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.signum: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        try:
            for signum in self._SIGNALS:
                self._previous[signum] = signal.signal(signum, self._note)
        except ValueError:  # not the main thread: the caller's own handlers stay
            self._previous.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)  # pyright: ignore[reportArgumentType]

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:  # asked twice: at once, without saving
            raise KeyboardInterrupt
        self.signum = signum
        _log.warning("stopping as soon as the state is saved; once more to stop at once")


def leave_signals_to_the_parent(worker: int) -> None:
    """Makes a data-loading process ignore stop requests: the training process decides when the loading ends."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
