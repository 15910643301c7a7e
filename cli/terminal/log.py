"""The log and the tracebacks that ``--debug`` shows on stderr."""

from __future__ import annotations

import logging
import sys
import traceback

_log = logging.getLogger("bedside")


def show_log(prefix: str = "") -> None:
    """Shows the library's log from here on, and what `log_failure` tells.

    Args:
        prefix: stands before each entry; says which process speaks where there are several.
    """
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format=prefix + logging.BASIC_FORMAT)
    logging.getLogger().setLevel(logging.INFO)
    _log.setLevel(logging.DEBUG)


def log_is_shown() -> bool:
    """Whether somebody wants to see log and tracebacks."""
    return _log.isEnabledFor(logging.DEBUG)


def log_failure(what: str, error: BaseException) -> None:
    """Logs where an error came from, if the log is shown.

    Where it happened, not what was said: that may name a file, and a log outlives the person's screen.
    """
    if log_is_shown():
        _log.error("%s: %s\n%s", what, type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
