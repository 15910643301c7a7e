"""A worker process: receives items one after the other, and sends back the result of each.

Both directions are streams of pickles: standard input brings the log's prefix, the `Work` and the items, None after the
last; the worker's answers are `Begun`, `Progressed`, `Finished` and `Raised`.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from ..runtime.errors import ExitCode
from ..runtime.hooks import Progress
from ..runtime.log import log_failure, show_log
from .child import python_command
from .signals import Terminated, unwind_on_sigterm

Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class Work(Protocol[Item_contra, Result_co]):
    """The computation that workers run on items; each worker gets a copy, so it must be picklable.

    Attributes:
        cleans_up: whether a terminated worker cleans up first, say removes a temporary file; otherwise it ends at once.
        advice: what to do if a worker lacks memory.
    """

    cleans_up: ClassVar[bool]
    advice: ClassVar[str]

    def ready(self) -> AbstractContextManager[Callable[[Item_contra, Progress], Result_co]]:
        """Prepares a worker for all its items, and yields the function (item, progress) → result.

        An exception here or in that function ends the work on all items.
        """
        ...

    def failed(self, item: Item_contra, reason: str) -> Result_co:
        """Returns, in the parent process, the result of an item whose worker died."""
        ...


@dataclass(frozen=True)
class Begun:
    """A worker is prepared and has received an item."""


@dataclass(frozen=True)
class Progressed:
    """A worker's progress in its item."""

    done: int
    total: int


@dataclass(frozen=True)
class Finished:
    """The result of a worker's item."""

    result: Any


@dataclass(frozen=True)
class Raised:
    """An error that ends the work on all items."""

    error: Exception


FIRST_LINE = b"bedside: answers follow\n"


class _ParentEnded(BaseException):
    """The process that this one works for has ended, or takes no more answers."""


def worker_command() -> list[str]:
    """Returns the command that starts a worker."""
    return python_command(f"from {__name__} import main; main()")


def main() -> None:
    """Works on items until None comes, SIGTERM arrives (exit code 143) or the parent process has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Engines print to file descriptor 1 from C++. The answers get a descriptor of their own; all other output to
    # standard output goes to standard error.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    answers.write(b"\n" + FIRST_LINE)  # what precedes it was printed while the interpreter started

    def receive() -> Any:
        try:
            return pickle.load(sys.stdin.buffer)
        except EOFError:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # first handles one that came, then keeps the clean-up whole
            raise _ParentEnded from None

    def send(answer: Begun | Progressed | Finished | Raised) -> None:
        content = pickle.dumps(answer)  # whole before any of it is written
        try:
            answers.write(content)
            answers.flush()
        except ConnectionError:
            raise _ParentEnded from None

    code = ExitCode.OK
    try:
        _serve(receive, send)
    except _ParentEnded:
        pass
    except Terminated:
        code = ExitCode.TERMINATED
    with suppress(ConnectionError):
        answers.close()
    sys.exit(code)


def _serve(receive: Callable[[], Any], send: Callable[[Begun | Progressed | Finished | Raised], None]) -> None:
    try:
        log_prefix: str | None = receive()
        if log_prefix is not None:
            show_log(log_prefix)
        work: Work[Any, Any] = receive()
        if work.cleans_up:
            unwind_on_sigterm()
        with work.ready() as run:
            while (item := receive()) is not None:
                send(Begun())
                send(Finished(run(item, lambda done, total: send(Progressed(done, total)))))
    except Exception as error:
        log_failure("a worker failed", error)
        send(Raised(_picklable(error)))


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # libraries have errors that fail in any way here
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
