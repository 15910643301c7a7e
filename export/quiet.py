"""Silences the exporters' and quantizers' own output, so that the user does not see it."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

_LOGGERS = ("torch.onnx", "torch.utils.cpp_extension", "onnxscript", "onnx_ir", "nncf")


@contextmanager
def quiet_libraries() -> Generator[None]:
    """Silences the libraries' warnings, log lines and progress bars while the block runs.

    NNCF draws its bars on stdout, where a command's result belongs. Exceptions propagate; the caller checks what the
    libraries return.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
