"""The log: what of it people see while a command runs, and all of it, with tracebacks, with ``--debug``."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager

from .console import Console

_log = logging.getLogger("bedside")


def show_log(prefix: str = "") -> None:
    """Shows the library's log from here on, and what `log_failure` tells.

    Args:
        prefix: stands before each entry; says which process speaks where there are several.
    """
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format=prefix + logging.BASIC_FORMAT)
    logging.getLogger().setLevel(logging.INFO)
    _log.setLevel(logging.DEBUG)


@contextmanager
def log_on(console: Console) -> Generator[None]:
    """Shows people what the library logs while the block runs: its warnings, and what is good to know.

    Where ``--debug`` shows the whole log, it does so alone.
    """
    if log_is_shown():
        yield
        return
    handler, level = _ConsoleHandler(console), _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.setLevel(level)
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
    """Whether somebody wants to see log and tracebacks."""
    return _log.isEnabledFor(logging.DEBUG)


def log_failure(what: str, error: BaseException) -> None:
    """Logs where an error came from, if the log is shown.

    Where it happened, not what was said: that may name a file, and a log outlives the person's screen.
    """
    if log_is_shown():
        _log.error("%s: %s\n%s", what, type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
