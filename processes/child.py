"""Starts Python in a child process, ends children, and describes how a child ended."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..runtime.errors import ExitCode
from ..runtime.log import log_is_shown

_COMMAND = "from bedside.cli.main import child_main; child_main()"
GRACE_SECONDS = 30.0  # for a terminated process to stop computing, remove its temporary files, save a checkpoint


def python_command(statement: str, arguments: Sequence[str] = ()) -> list[str]:
    """Returns the command that runs a statement in a new interpreter; ``sys.argv[1:]`` are the arguments.

    It is not ``python -m``, which would put the current folder first on the import path: a stray module `numpy` beside
    the scans would then run. The child gets exactly this process's import path, and is as isolated (``python -I``) from
    its environment. Nor is it `multiprocessing`, which would import the caller's main script once more.
    """
    entries: list[Any] = list(sys.path)  # import ignores what is no text
    places = [entry for entry in entries if isinstance(entry, str) and "\0" not in entry]
    code = f"import sys; end = 2 + int(sys.argv[1]); sys.path[:] = sys.argv[2:end]; del sys.argv[1:end]; {statement}"
    return [sys.executable, *_isolation(), "-c", code, str(len(places)), *places, *arguments]


def bedside_command(arguments: Sequence[str]) -> list[str]:
    """Returns the command that runs ``bedside ARGUMENTS`` in a new interpreter, with the log if this process shows its.

    See `python_command`.
    """
    return python_command(_COMMAND, [*(["--debug"] if log_is_shown() else []), *arguments])


def _isolation() -> list[str]:
    if sys.flags.isolated:
        return ["-I"]
    return ["-E"] * sys.flags.ignore_environment + ["-s"] * sys.flags.no_user_site


def end(children: Sequence[subprocess.Popen[Any]], *, close_stdin: bool = False) -> None:
    """Terminates children and waits; kills them after `GRACE_SECONDS`, or at once on a second interrupt.

    Args:
        children: the processes.
        close_stdin: whether to close the pipes to their standard input after the signal. Python notes a signal and
            handles it later: a child that begins to read just then would wait with the signal for its next input.
    """
    for child in children:
        child.terminate()
        if hasattr(signal, "SIGCONT"):  # a stopped process would not see the signal
            child.send_signal(signal.SIGCONT)
        if close_stdin and isinstance(child.stdin, io.BufferedWriter):
            child.stdin.raw.close()  # without what an interrupted write left in the buffer: its pipe may be full
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
    if code in (-signal.SIGTERM, ExitCode.TERMINATED):
        return "was terminated"
    if code >= 0:
        return f"ended with exit code {code}"
    if code == -signal.SIGKILL:
        return f"was killed by signal {-code} (out of memory?); {advice}"
    return f"was killed by signal {-code} ({signal.strsignal(-code) or 'unknown'})"
