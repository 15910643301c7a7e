"""The library's log: whether it is shown, and errors with their tracebacks in it."""

from __future__ import annotations

import logging
import sys
import traceback

_log = logging.getLogger("bedside")


def show_log(prefix: str = "") -> None:
    """Shows the library's log on stderr from now on, including the tracebacks of `log_failure`.

    Args:
        prefix: text before each entry; names the process where there are several.
    """
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format=prefix + logging.BASIC_FORMAT)
    logging.getLogger().setLevel(logging.INFO)
    _log.setLevel(logging.DEBUG)


def log_is_shown() -> bool:
    """Whether the log with its tracebacks is shown, as under ``--debug``."""
    return _log.isEnabledFor(logging.DEBUG)


def log_failure(what: str, error: BaseException) -> None:
    """Logs the type and traceback of an error, if the log is shown.

    The error's message is left out: it may name a file, and a log outlives the person's screen.
    """
    if log_is_shown():
        _log.error("%s: %s\n%s", what, type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
