"""SIGTERM as an exception, and SIGINT withheld from child processes."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class Terminated(BaseException):
    """SIGTERM arrived, or the process that this one works for has ended."""


def unwind_on_sigterm() -> None:
    """Raises `Terminated` in the main thread when SIGTERM arrives: temporary files are removed, checkpoints kept."""
    signal.signal(signal.SIGTERM, _raise)


def _raise(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


@contextmanager
def sigint_blocked() -> Generator[None]:
    """Lets a new process inherit a blocked SIGINT: a terminal sends ctrl-C to all, but the parent ends its children."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
