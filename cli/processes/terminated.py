"""SIGTERM as an exception: the stack unwinds, temporary files are removed, checkpoints are kept."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


class Terminated(BaseException):
    """SIGTERM arrived."""


def unwind_on_sigterm() -> None:
    """Raises `Terminated` in the main thread when SIGTERM arrives."""
    signal.signal(signal.SIGTERM, _raise)


def _raise(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
