"""The log on stderr: notes and warnings while a command runs, and all of it with tracebacks under ``--debug``."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager

from .console import Console

_log = logging.getLogger("bedside")


def show_log(prefix: str = "") -> None:
    """Shows the library's log on stderr from now on, including the tracebacks of `log_failure`.

    Args:
        prefix: text before each entry; names the process where there are several.
    """
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format=prefix + logging.BASIC_FORMAT)
    logging.getLogger().setLevel(logging.INFO)
    _log.setLevel(logging.DEBUG)


@contextmanager
def log_on(console: Console, level: int = logging.INFO) -> Generator[None]:
    """Shows the library's log on the console while the block runs: notes and warnings.

    Changes nothing under ``--debug``, which shows the whole log already.

    Args:
        console: prints the entries.
        level: least level of the entries to show; `logging.WARNING` leaves out notes.
    """
    if log_is_shown():
        yield
        return
    handler, before = _ConsoleHandler(console), _log.level
    _log.addHandler(handler)
    _log.setLevel(level)
    try:
        yield
    finally:
        _log.setLevel(before)
        _log.removeHandler(handler)


class _ConsoleHandler(logging.Handler):
    """Hands log entries to a console."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        say = self._console.warn if record.levelno >= logging.WARNING else self._console.info
        say(record.getMessage())


def log_is_shown() -> bool:
    """Whether the log with its tracebacks is shown, as under ``--debug``."""
    return _log.isEnabledFor(logging.DEBUG)


def log_failure(what: str, error: BaseException) -> None:
    """Logs the type and traceback of an error, if the log is shown.

    The error's message is left out: it may name a file, and a log outlives the person's screen.
    """
    if log_is_shown():
        _log.error("%s: %s\n%s", what, type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
