"""Ends child processes, and describes how a child ended."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

GRACE_SECONDS = 30.0  # for a terminated process to stop computing, remove its temporary files, save a checkpoint


def end(children: Sequence[subprocess.Popen[Any]]) -> None:
    """Terminates children and waits; kills them after `GRACE_SECONDS`, or at once on a second interrupt."""
    for child in children:
        child.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    try:
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(deadline - time.monotonic(), 0))
    finally:
        for child in children:
            child.kill()  # does nothing if it has ended
            child.wait()


def how_it_ended(code: int, advice: str) -> str:
    """Describes the end of a child.

    >>> how_it_ended(-9, "free memory")
    'was killed by signal 9 (out of memory?); free memory'

    Args:
        code: its exit code, or minus the number of the signal that killed it, as in `subprocess`.
        advice: what to do if the child lacked memory.
    """
    if code >= 0:
        return f"ended with exit code {code}"
    if code == -signal.SIGKILL:
        return f"was killed by signal {-code} (out of memory?); {advice}"
    return f"was killed by signal {-code} ({signal.strsignal(-code) or 'unknown'})"
