"""Keeps the DICOM libraries' warnings to themselves: they show what headers hold, such as a patient's name."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from threading import Lock

_LIBRARIES = ("pydicom", "pynetdicom", "highdicom")
_lock = Lock()
_silence = ExitStack()
_inside = 0  # blocks that run now, in all threads: filters of warnings belong to the process


@contextmanager
def quiet_libraries() -> Generator[None]:
    """Silences warnings, and the logs of the DICOM libraries, while the block runs; blocks may nest and overlap."""
    global _inside
    with _lock:
        if _inside == 0:
            _silence.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            for logger in map(logging.getLogger, _LIBRARIES):
                _silence.callback(logger.setLevel, logger.level)
                logger.setLevel(logging.CRITICAL + 1)  # also of the loggers below it
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _silence.close()
