"""What is told of an error, whatever raised it: one line and the exit code of its family."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import BedsideError, ExitCode, printable
from ...runtime.files.shared_memory import TOO_SMALL, is_for_want_of_it


@dataclass(frozen=True)
class Failure:
    """One line for people, and the exit code.

    Attributes:
        message: what was expected, what came, what to do.
        code: family of the error.
    """

    message: str
    code: ExitCode

    def error(self) -> BedsideError:
        """Returns an error of which the same is told: for one that was raised in another process."""
        error = BedsideError(self.message)
        error.exit_code = self.code
        return error


def failure_of(error: Exception) -> Failure:
    """Returns what to tell of an error; what bedside did not raise on purpose is a fault in bedside."""
    if isinstance(error, BedsideError):
        return Failure(_line(str(error)), error.exit_code)
    if isinstance(error, MemoryError):
        return Failure("out of memory; give the job more memory or a smaller input", ExitCode.RESOURCE)
    if "can't start new thread" in str(error):
        return Failure("the system allows no more threads here; take fewer --workers", ExitCode.RESOURCE)
    if is_for_want_of_it(error):
        return Failure(TOO_SMALL, ExitCode.RESOURCE)
    if isinstance(error, OSError):
        return Failure(_refused(error), ExitCode.RESOURCE)
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):  # torch's own
        return Failure("out of memory; give the job more, or take a smaller patch", ExitCode.RESOURCE)
    words = f"a fault in bedside ({type(error).__name__}: {error}); --debug before the command shows where"
    return Failure(_line(words), ExitCode.FAULT)


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _refused(error: OSError) -> str:
    """What is told of the system's own errors; of a path only the last part, as everywhere."""
    reason = error.strerror or _line(str(error))
    if not isinstance(error.filename, str):
        return f"the system refused: {reason}"
    return f'"{Path(error.filename).name}": the system refused it ({reason}); check path, permissions and free space'
