"""Runs `bedside` commands one after the other, each in a process of its own, and measures time and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ...runtime.errors import BedsideError, ExitCode
from ..terminal.log import log_is_shown

GRACE_SECONDS = 20.0  # a stopped command has this long to remove its temporary files and keep its checkpoint


class StageFailedError(BedsideError):
    """A command of the demo failed; its own message is on stderr, unless a signal killed it.

    Args:
        words: the command line after ``bedside``.
        code: its exit code, or minus the number of the signal that killed it, as in `subprocess`.
    """

    def __init__(self, words: Sequence[str], code: int) -> None:
        how = f"ended with exit code {code}; its own message is above" if code >= 0 else _killed(-code)
        super().__init__(f"bedside {words[0]} {how}")
        self.exit_code = ExitCode(code) if code in set(ExitCode) else ExitCode.RESOURCE


@dataclass(frozen=True)
class Stage:
    """A finished command.

    Attributes:
        title: purpose of the command, as the report shows it.
        words: the command line after ``bedside``.
        seconds: wall-clock time.
        peak_bytes: peak resident memory of the process.
        output: text the command wrote to stdout.
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

    With ``--debug`` here, the child shows its log and tracebacks too. Any exception in this process (Ctrl-C, SIGTERM)
    ends the child: first with SIGTERM, after `GRACE_SECONDS` with SIGKILL.

    Args:
        title: purpose of the command, as the report shows it.
        words: the command line after ``bedside``.
        accept: exit codes that count as success.

    Raises:
        StageFailedError: the exit code is not accepted, or a signal killed the child.
    """
    start = time.perf_counter()
    command = [sys.executable, "-m", "bedside", *(["--debug"] if log_is_shown() else []), *words]
    # Only JSON is read from the output; it is UTF-8 or ASCII, whatever encoding the child's other text has.
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", errors="backslashreplace") as child:
        try:
            output = child.stdout.read() if child.stdout else ""
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            _stop(child)
            raise
    if child.returncode not in accept:
        raise StageFailedError(words, child.returncode)
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
    return Stage(title, tuple(words), time.perf_counter() - start, usage.ru_maxrss * unit, output)


def _stop(child: subprocess.Popen[str]) -> None:
    """Terminates the child and waits; kills it after `GRACE_SECONDS`, or at once on a second interrupt."""
    child.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)
    finally:
        if child.poll() is None:
            child.kill()


def _killed(number: int) -> str:
    if number == signal.SIGKILL:
        return f"was killed by signal {number} (out of memory?); give it more memory and run it again"
    return f"was killed by signal {number} ({signal.strsignal(number) or 'unknown'})"
