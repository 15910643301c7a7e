"""Running the measuring process, and turning whatever becomes of it into a report or an error in words."""

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
    """Returns the command of the measuring process.

    It is not ``python -m``, which would put the current folder first on the import path: a stray ``numpy.py`` beside
    the scans would then run. The child gets exactly this process's path instead.
    """
    code = f"import sys; sys.path[:] = sys.argv[1:]; from {__package__}._worker import main; main()"
    return [sys.executable, "-c", code, *sys.path]


def run_child(
    request: object, progress: Callable[[float], None], command: Sequence[str] | None = None
) -> VariantReport:
    """Measures one variant in a child process.

    Args:
        request: the worker's `Request`.
        progress: told the finished fraction, 0…1.
        command: the process to start; None for the worker.

    Raises:
        ResourceError: the child died, or answered nothing that can be understood.
        BedsideError: what the child refused, with the child's class and words.
    """
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            command or worker_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints
        )
        try:
            report = _converse(process, msgspec.json.encode(request), progress)
            code = process.wait()
        finally:
            if process.poll() is None:  # interrupted, or the answer made no sense
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
        except BrokenPipeError:  # died before it read; its exit code and last words tell why
            return None
        for line in answers:
            answer = _understood(line)
            if isinstance(answer, VariantReport):
                return answer
            if answer is not None:
                progress(answer)
    return None


def _understood(line: bytes) -> VariantReport | float | None:
    """Returns what a line of the child's says: the report, how far it is, or nothing for us.

    Raises:
        BedsideError: the child refused, or the line cannot be understood.
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
    # Some classes build their message from other arguments; the family with the same exit code takes words.
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
