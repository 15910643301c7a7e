"""The module `tensorrt`, and its one logger, which remembers why a call failed."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from ..engine import importing

_log = logging.getLogger("bedside.engine")


def import_tensorrt() -> Any:
    """Returns the module ``tensorrt``; TensorRT 10.3 to 11 have what this package uses of it.

    Raises:
        ResourceError: it cannot be imported.
    """
    with importing("tensorrt"):
        import tensorrt  # pyright: ignore[reportMissingImports] - a device's own

    return tensorrt


@cache
def logger(trt: Any) -> Any:
    """Returns the logger for builders, parsers and runtimes of a module.

    TensorRT keeps the first logger of a process for all its objects, and reports most failures to it alone: the call
    returns None or False. The logger's ``reason()`` is the first error since the last ``reason()``.

    Args:
        trt: the module ``tensorrt``, or one with the same interface.
    """

    class Logger(trt.ILogger):
        def __init__(self) -> None:
            super().__init__()
            self._error = ""

        def log(self, severity: Any, msg: str) -> None:
            line = " ".join(msg.split())
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self._error = self._error or line
            _log.debug("TensorRT: %s", line)

        def reason(self) -> str:
            found, self._error = self._error, ""
            return found or "it gave no reason"

    return Logger()
