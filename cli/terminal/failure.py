"""What is told of an error, whatever raised it: one line and the exit code of its family."""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.errors import BedsideError, ExitCode


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
        return Failure(" ".join(str(error).split()), error.exit_code)
    if isinstance(error, MemoryError):
        return Failure("out of memory; give the job more memory or a smaller input", ExitCode.RESOURCE)
    if isinstance(error, OSError):
        return Failure(f"the system refused: {error.strerror or error}", ExitCode.RESOURCE)
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):  # torch's own
        return Failure("out of memory; give the job more, or take a smaller patch", ExitCode.RESOURCE)
    words = f"a fault in bedside ({type(error).__name__}: {error}); --debug before the command shows where"
    return Failure(" ".join(words.split()), ExitCode.FAULT)
