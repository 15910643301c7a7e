"""Runs the benchmark process, and returns its report or raises an error that says why there is none."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..runtime import errors
from ..runtime.errors import BedsideError, ResourceError
from .report import VariantReport


def worker_command() -> list[str]:
    """Returns the command that starts the benchmark process.

    It is not ``python -m``, which would put the current folder first on the import path: a stray ``numpy.py`` beside
    the scans would then run. The child gets exactly this process's import path instead.
    """
    code = f"import sys; sys.path[:] = sys.argv[1:]; from {__package__}._worker import main; main()"
    return [sys.executable, "-c", code, *sys.path]


def run_child(
    request: object, progress: Callable[[float], None], command: Sequence[str] | None = None
) -> VariantReport:
    """Measures one variant in a child process.

    Args:
        request: the `Request` of the benchmark process.
        progress: called with the finished fraction, 0…1.
        command: command of the process to start; None for `worker_command`.

    Raises:
        ResourceError: the child died, or its answer cannot be parsed.
        BedsideError: the child reported an error; the class and message are the child's.
    """
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            command or worker_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints
        )
        try:
            report = _converse(process, msgspec.json.encode(request), progress)
            code = process.wait()
        finally:
            if process.poll() is None:  # interrupted, or the answer could not be parsed
                process.kill()
                process.wait()
        if report is not None:
            return report
        complaints.seek(0)
        lines = complaints.read().decode(errors="replace").split("\n")
    raise ResourceError(_last_words(code, [line.strip() for line in lines if line.strip()]))


def _converse(
    process: subprocess.Popen[bytes], request: bytes, progress: Callable[[float], None]
) -> VariantReport | None:
    if process.stdin is None or process.stdout is None:
        return None
    with process.stdout as answers:
        try:
            with process.stdin as questions:
                questions.write(request)
        except BrokenPipeError:  # died before it read the request; its exit code and last line of stderr say why
            return None
        for line in answers:
            answer = _understood(line)
            if isinstance(answer, VariantReport):
                return answer
            if answer is not None:
                progress(answer)
    return None


def _understood(line: bytes) -> VariantReport | float | None:
    """Parses a line of the child's output: returns the report, the finished fraction, or None for other lines.

    Raises:
        BedsideError: the line reports an error, or cannot be parsed.
    """
    try:
        answer: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
        if "result" in answer:
            return msgspec.convert(answer["result"], VariantReport)
        if "progress" in answer:
            return float(answer["progress"])
        refusal = _error(answer["error"]["kind"], answer["error"]["message"]) if "error" in answer else None
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise ResourceError(f"the measuring process gave an answer nobody understands: {error}") from None
    if refusal is not None:
        raise refusal
    return None


def _error(kind: str, message: str) -> BedsideError:
    family = getattr(errors, kind, None)
    # Some classes build their message from other arguments; their base class with the same exit code accepts a message.
    families = (errors.UsageError, errors.InputError, errors.BundleError, errors.ResourceError, errors.Cancelled)
    for plain in families:
        if isinstance(family, type) and issubclass(family, plain):
            return plain(message)
    return ResourceError(message)


def _last_words(code: int, complaints: list[str]) -> str:
    if code == -signal.SIGKILL:
        return "the measuring process was killed, most likely for want of memory; free memory or choose int8"
    if code < 0:
        return f"the measuring process died of signal {-code} ({signal.strsignal(-code) or 'unknown'}) in the engine"
    words = complaints[-1] if complaints else "it said nothing"
    return f"the measuring process ended with exit code {code}: {words}"
