"""SIGTERM as an exception, and SIGINT withheld from child processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager, suppress
from threading import Thread, current_thread, main_thread
from types import FrameType
from typing import NoReturn


class Terminated(BaseException):
    """SIGTERM arrived, or SIGHUP because the terminal was closed."""


def unwind_on_sigterm() -> None:
    """Raises `Terminated` in the main thread when SIGTERM arrives: temporary files are removed, checkpoints kept.

    The same on SIGHUP, when the terminal is closed, unless the caller ignores it as ``nohup`` does.
    """
    signal.signal(signal.SIGTERM, _raise)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # not on Windows
        signal.signal(signal.SIGHUP, _raise)


def terminate_at_end_of_stdin() -> None:
    """Sends SIGTERM to this process when its standard input ends, as it does when the parent process is killed."""

    def watch() -> None:
        with suppress(OSError, ValueError):
            while os.read(0, 4096):
                pass
            os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, name="bedside-parent-watch", daemon=True).start()


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


@contextmanager
def sigint_as_by_default() -> Generator[None]:
    """Lets processes that start meanwhile hear SIGINT, also where this one was told to ignore it.

    A shell has the commands that it runs in the background ignore it, and theirs inherit that. Does nothing outside of
    the main thread, which alone may say what becomes of a signal.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not ignored or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
