"""A worker process: receives items one after the other, and sends back the result of each."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, ClassVar, Protocol, TypeVar

from ...runtime.callbacks import Progress
from ..terminal.failure import failure_of
from ..terminal.log import log_failure, show_log
from ..terminal.streams import prepare_streams
from .terminated import Terminated, unwind_on_sigterm

Item = TypeVar("Item")
Result = TypeVar("Result")
Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class Work(Protocol[Item_contra, Result_co]):
    """The computation that workers run on items; each worker gets a copy, so it must be picklable.

    Attributes:
        unwinds: whether a terminated worker cleans up first, say removes a temporary file; otherwise it ends at once.
    """

    unwinds: ClassVar[bool]

    def ready(self) -> AbstractContextManager[Callable[[Item_contra, Progress], Result_co]]:
        """Prepares a worker for all its items, and yields the function (item, progress) → result.

        An exception here or in that function ends the work on all items.
        """
        ...

    def lost(self, item: Item_contra, why: str) -> Result_co:
        """Returns, in the parent process, the result of an item whose worker died; ``why`` has cause and remedy."""
        ...


@dataclass(frozen=True)
class Steps:
    """A worker's progress in its item; 0 of 0 means that it is ready for items."""

    done: int
    total: int


@dataclass(frozen=True)
class Finished:
    """The result of a worker's item."""

    result: Any


def work_off(connection: Connection, work: Work[Any, Any], log_prefix: str | None) -> None:
    """Runs in a worker process: works on the items it receives until it receives None or the parent process has ended.

    Sends `Steps` and `Finished` for each item, and a `Failure` if an error ends the work on all items.

    Args:
        connection: pipe to the process that sends the items.
        work: the computation.
        log_prefix: text before each log entry; None shows no log.
    """
    prepare_streams()
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if work.unwinds:
            unwind_on_sigterm()
        if log_prefix is not None:
            show_log(log_prefix)
        _serve(connection, work)
    except (EOFError, ConnectionError, Terminated):
        return


def _serve(connection: Connection, work: Work[Any, Any]) -> None:
    try:
        with work.ready() as do:
            connection.send(Steps(0, 0))
            while (item := connection.recv()) is not None:
                connection.send(Finished(do(item, lambda done, total: connection.send(Steps(done, total)))))
    except (EOFError, ConnectionError):
        raise
    except Exception as error:
        log_failure("a worker failed", error)
        connection.send(failure_of(error))
