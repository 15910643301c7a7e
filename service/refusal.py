"""The answer to a request that is not served: a status, an exit code of the family, and one line."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..runtime.errors import BedsideError, Choice, ExitCode, InputError, MissingExtraError
from ..runtime.log import log_failure
from .wording import for_clients

_STATUS = {
    ExitCode.USAGE: 400,
    ExitCode.INPUT: 422,
    ExitCode.RESOURCE: 503,
    ExitCode.INTERRUPTED: 409,
}
RETRY_SECONDS = 10


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why something was refused, or failed.

    Attributes:
        code: exit code that `bedside segment` has for the same: 2 the call, 3 the scan, 4 the bundle, 5 memory or disk.
        message: what was expected, what came, what to do.
        choices: parameters of which one, put into the query, makes the same scan acceptable.
    """

    code: int
    message: str
    choices: list[Choice] = []


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of every answer with a status of 400 or more."""

    error: Failure


class RefusedError(Exception):
    """A request that is not served.

    Args:
        status: HTTP status.
        message: one line: what was expected, what came, what to do.
        code: exit code of the family.
        retry_seconds: when to try again, for statuses that pass; None otherwise.
        choices: parameters that make the same scan acceptable.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: ExitCode,
        retry_seconds: int | None = None,
        choices: Sequence[Choice] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.retry_seconds = status, retry_seconds
        self.failure = Failure(int(code), message, list(choices))  # the body's content

    @classmethod
    def of(cls, error: BaseException) -> RefusedError:
        """Returns the answer to an error; what is no error of bedside's is a fault, whose message may hold values."""
        if isinstance(error, RefusedError):
            return error
        failure = failure_of(error)
        code = ExitCode(failure.code)
        status = 501 if isinstance(error, MissingExtraError) else _STATUS.get(code, 500)
        retry_seconds = RETRY_SECONDS if status == 503 else None
        return cls(status, failure.message, code, retry_seconds, failure.choices)


def busy(message: str) -> RefusedError:
    """Returns the answer that there is no place now."""
    return RefusedError(503, message, ExitCode.RESOURCE, RETRY_SECONDS)


def failure_of(error: BaseException) -> Failure:
    """Returns exit code and message of an error, without values of the scan."""
    if isinstance(error, BedsideError):
        choices = list(error.choices) if isinstance(error, InputError) else []
        return Failure(int(error.exit_code), for_clients(str(error)), choices)
    log_failure("the service failed", error)
    if isinstance(error, MemoryError):
        return Failure(int(ExitCode.RESOURCE), "memory ran out; free memory or crop the scan")
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return Failure(int(ExitCode.RESOURCE), f"the system refused: {reason}; check free space and permissions")
    return Failure(
        int(ExitCode.FAULT),
        f"a fault in bedside ({type(error).__name__}); the log of a service that is started for debugging shows where",
    )
