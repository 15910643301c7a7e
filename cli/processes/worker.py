"""A worker: a process that is sent items, one after the other, and sends back what comes of each."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, ClassVar, Protocol, TypeVar

from ..terminal.failure import failure_of
from ..terminal.log import log_failure, show_log
from ..terminal.streams import prepare_streams
from .terminated import Terminated, unwind_on_sigterm

Item = TypeVar("Item")
Result = TypeVar("Result")
Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)
Progress = Callable[[int, int], None]


class Work(Protocol[Item_contra, Result_co]):
    """What workers do with their items; each gets a copy, so it can be pickled.

    Attributes:
        unwinds: whether a worker that is stopped has something to remove, a temporary file say; else it ends at once.
    """

    unwinds: ClassVar[bool]

    def ready(self) -> AbstractContextManager[Callable[[Item_contra, Progress], Result_co]]:
        """Prepares, in a worker, what all items need, and gives what does one item and may report its progress.

        Whatever this raises, and whatever that raises, ends the work on all items.
        """
        ...

    def lost(self, item: Item_contra, why: str) -> Result_co:
        """Returns, outside, what comes of an item whose worker died; ``why`` says how, and what to do about it."""
        ...


@dataclass(frozen=True)
class Steps:
    """A worker's progress in its item; none of none says that it is ready."""

    done: int
    total: int


@dataclass(frozen=True)
class Finished:
    """What came of a worker's item."""

    result: Any


def work_off(connection: Connection, work: Work[Any, Any], log_prefix: str | None) -> None:
    """What a worker's process runs: does the items it is sent, until it is sent None or nobody is left to send.

    Sends `Steps`, `Finished` for each item, and a `Failure` where the work as a whole is refused.

    Args:
        connection: to the process that sends the items.
        work: what to do.
        log_prefix: before each entry of the log; None shows none.
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
