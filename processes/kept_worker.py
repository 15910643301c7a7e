"""A worker process that stays between its items, so that several of them can work in turns."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

from ..runtime.hooks import Progress
from ..runtime.log import log_is_shown
from .child import end, how_it_ended
from .worker import Begun, Progressed, Raised, Work
from .worker_pool import Answer, WorkerProcess

Item = TypeVar("Item")
Result = TypeVar("Result")


class KeptWorker(Generic[Item, Result]):
    """A worker process that is given one item at a time, and keeps its state between them; a context manager.

    `run_in_workers` gives items to whichever worker is free; here the caller says who works when. The process starts
    with the first item and is ended with the block.

    Args:
        work: the computation; the worker gets a pickled copy.
        hide_stderr: whether the worker's standard error is kept back; the reason why it ended then has its last line.
    """

    def __init__(self, work: Work[Item, Result], *, hide_stderr: bool = False) -> None:
        self._work = work
        self._hide_stderr = hide_stderr
        self._answers: SimpleQueue[tuple[WorkerProcess[Item], Answer | None]] = SimpleQueue()
        self._worker: WorkerProcess[Item] | None = None
        self._reason = ""
        self._received = False

    @property
    def died(self) -> bool:
        """Whether the process has ended before its time, within an item or between two; further items fail."""
        return bool(self.reason)

    @property
    def reason(self) -> str:
        """How the process ended before its time; empty where it has not."""
        code = None if self._reason or self._worker is None else self._worker.process.poll()
        return self._reason if code is None else f"its process {how_it_ended(code, self._work.advice)}"

    @property
    def received(self) -> bool:
        """Whether the process received the last item; one that did not had died before, so the item is untouched."""
        return self._received

    @property
    def process_id(self) -> int | None:
        """Process id of the process that runs; None before the first item, and once it has ended."""
        return None if self._worker is None or self.died else self._worker.process.pid

    def kill(self) -> None:
        """Ends the process at once, also within an item; `Work.failed` then gives that item's result."""
        worker = self._worker
        if worker is not None:
            worker.process.kill()

    def run(self, item: Item, progress: Progress | None = None) -> Result:
        """Runs the work on one item and waits for its result; `Work.failed` gives it where the worker died.

        An exception here, from ``progress`` say, ends the process: its answers to this item would otherwise be taken
        for those to the next one. Further items then fail.

        Args:
            item: the item; pickled, and not None.
            progress: called with (steps done, steps in total).

        Raises:
            Exception: what the worker or ``progress`` raised.
        """
        self._received = False
        if self._reason:
            return self._work.failed(item, self._reason)
        try:
            if self._worker is None:
                self._worker = WorkerProcess(self._answers, self._hide_stderr)
                self._worker.begin(item, "worker: " if log_is_shown() else None, self._work)
            else:
                self._worker.begin(item)
            return self._result(self._worker, item, progress or _ignored)
        except BaseException:
            self.close()
            raise

    def _result(self, worker: WorkerProcess[Item], item: Item, progress: Callable[[int, int], object]) -> Result:
        while True:
            _, answer = self._answers.get()
            if answer is None:
                self._reason = worker.how_it_ended(self._work.advice)
                return self._work.failed(item, self._reason)
            if isinstance(answer, Raised):
                raise answer.error
            if isinstance(answer, Begun):
                self._received = True
            elif isinstance(answer, Progressed):
                progress(answer.done, answer.total)
            else:
                return answer.result

    def close(self) -> None:
        """Ends the process, which cleans up as its work says; may be called twice."""
        worker, self._worker = self._worker, None
        if worker is None or self._reason:
            return
        self._reason = "its process was ended"
        end([worker.process], close_stdin=True)
        worker.close()

    def __enter__(self) -> KeptWorker[Item, Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _ignored(done: int, total: int) -> None:
    """Takes the place of a progress callback that was not given."""
