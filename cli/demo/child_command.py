"""Runs one `bedside` command of the demo in a process of its own, and measures its time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ...processes.child import bedside_command, end, how_it_ended
from ...processes.signals import sigint_blocked
from ...runtime.errors import BedsideError, ExitCode


class StageFailedError(BedsideError):
    """A command of the demo failed; its own message is on stderr, unless a signal killed it.

    Args:
        arguments: the command's arguments after ``bedside``.
        code: its exit code, or minus the number of the signal that killed it, as in `subprocess`.
    """

    def __init__(self, arguments: Sequence[str], code: int) -> None:
        message = f"bedside {arguments[0]} {how_it_ended(code, 'give it more memory and run it again')}"
        super().__init__(message + ("; its own message is above" if code >= 0 else ""))
        self.exit_code = ExitCode(code) if code in set(ExitCode) else ExitCode.RESOURCE


@dataclass(frozen=True)
class Stage:
    """A finished command.

    Attributes:
        title: purpose of the command, as the report shows it.
        arguments: its arguments after ``bedside``.
        seconds: wall-clock time.
        peak_bytes: peak resident memory of the process.
        output: text the command wrote to stdout.
    """

    title: str
    arguments: tuple[str, ...]
    seconds: float
    peak_bytes: int
    output: str

    @property
    def command(self) -> str:
        """The command line."""
        return " ".join(("bedside", *self.arguments))


def run_stage(title: str, arguments: Sequence[str], *, accept: Sequence[int] = (ExitCode.OK,)) -> Stage:
    """Runs ``bedside ARGUMENTS`` in a child process; its progress goes to this process's stderr.

    With ``--debug`` here, the child shows its log and tracebacks too. Any exception in this process (Ctrl-C, SIGTERM)
    ends the child, see `end`.

    Args:
        title: purpose of the command, as the report shows it.
        arguments: its arguments after ``bedside``.
        accept: exit codes that count as success.

    Raises:
        StageFailedError: the exit code is not accepted, or a signal killed the child.
    """
    start = time.perf_counter()
    with sigint_blocked():
        # Only JSON is read from the output; it is UTF-8 or ASCII, whatever encoding the child's other text has.
        started = subprocess.Popen(
            bedside_command(arguments),
            stdin=subprocess.PIPE,  # it ends where this process is killed
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="backslashreplace",
        )
    with started as child:
        try:
            output = child.stdout.read() if child.stdout else ""
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            end([child])
            raise
    if child.returncode not in accept:
        raise StageFailedError(arguments, child.returncode)
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
    return Stage(title, tuple(arguments), time.perf_counter() - start, usage.ru_maxrss * unit, output)
