"""Runs `bedside` commands one after the other, each in a process of its own, and notes time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..runtime.errors import BedsideError, ExitCode


class StageFailedError(BedsideError):
    """A command of a longer job failed; it has said why on stderr."""

    def __init__(self, words: Sequence[str], code: int) -> None:
        super().__init__(f"bedside {words[0]} ended with exit code {code}; its own message is above")
        self.exit_code = ExitCode(code) if code in set(ExitCode) else ExitCode.RESOURCE


@dataclass(frozen=True)
class Stage:
    """A finished command.

    Attributes:
        title: what it was for, in words.
        words: the command line after ``bedside``.
        seconds: wall-clock time.
        peak_bytes: peak resident memory of the process.
        output: what it wrote to stdout.
    """

    title: str
    words: tuple[str, ...]
    seconds: float
    peak_bytes: int
    output: str

    @property
    def command(self) -> str:
        """The command as one would type it."""
        return " ".join(("bedside", *self.words))


def run_stage(title: str, words: Sequence[str], *, accept: Sequence[int] = (ExitCode.OK,)) -> Stage:
    """Runs ``bedside WORDS`` in a child process; its progress goes to this process's stderr.

    Args:
        title: what it is for.
        words: the command line after ``bedside``.
        accept: exit codes that count as success.

    Raises:
        StageFailedError: another exit code.
    """
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "bedside", *words], stdout=subprocess.PIPE, text=True) as child:
        try:
            output = child.stdout.read() if child.stdout else ""
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            child.kill()
            raise
    if child.returncode not in accept:
        raise StageFailedError(words, child.returncode)
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
    return Stage(title, tuple(words), time.perf_counter() - start, usage.ru_maxrss * unit, output)
