"""Notes and warnings of the library's log, shown on the console while a command runs."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from ...runtime.log import log_is_shown
from .console import Console

_log = logging.getLogger("bedside")


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
