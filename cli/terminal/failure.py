"""The message and exit code of an error, whatever raised it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import BedsideError, ExitCode, printable
from ...runtime.files.shared_memory import SHARED_MEMORY_TOO_SMALL, is_shared_memory_error


@dataclass(frozen=True)
class Failure:
    """The one-line message of an error, and its exit code.

    Attributes:
        message: what was expected, what came, what to do.
        code: exit code for this kind of error.
    """

    message: str
    code: ExitCode

    def error(self) -> BedsideError:
        """Rebuilds the error, with message and exit code, for re-raising in this process."""
        error = BedsideError(self.message)
        error.exit_code = self.code
        return error


def failure_of(error: Exception) -> Failure:
    """Returns message and exit code of an error; an error of no known kind is reported as a fault in bedside."""
    if isinstance(error, BedsideError):
        return Failure(_line(str(error)), error.exit_code)
    if isinstance(error, MemoryError):
        return Failure("out of memory; give the job more memory or a smaller input", ExitCode.RESOURCE)
    if "can't start new thread" in str(error):
        return Failure("the system allows no more threads here; use fewer --workers", ExitCode.RESOURCE)
    if is_shared_memory_error(error):
        return Failure(SHARED_MEMORY_TOO_SMALL, ExitCode.RESOURCE)
    if isinstance(error, OSError):
        return Failure(_refused(error), ExitCode.RESOURCE)
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):  # torch's own
        return Failure(
            "out of memory; give the job more, or use a smaller patch or a coarser spacing", ExitCode.RESOURCE
        )
    words = f"a fault in bedside ({type(error).__name__}: {error}); --debug before the command shows where"
    return Failure(_line(words), ExitCode.FAULT)


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _refused(error: OSError) -> str:
    """Returns the message for an error of the system, with only the last part of a path, as in every message."""
    reason = error.strerror or _line(str(error))
    if not isinstance(error.filename, str):
        return f"the system refused: {reason}"
    return f'"{Path(error.filename).name}": the system refused it ({reason}); check path, permissions and free space'
