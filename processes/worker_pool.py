"""Distributes a list of items among several worker processes, and ends them when they are no longer needed."""

from __future__ import annotations

import pickle
import subprocess
import tempfile
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import IO, Generic, TypeVar, cast

from ..runtime.hooks import Progress
from ..runtime.log import log_is_shown
from .child import end, how_it_ended
from .signals import sigint_blocked
from .worker import FIRST_LINE, Begun, Finished, Progressed, Raised, Work, worker_command

Item = TypeVar("Item")
Result = TypeVar("Result")
Answer = Begun | Progressed | Finished | Raised


def run_in_workers(
    work: Work[Item, Result],
    items: Sequence[Item],
    workers: int,
    progress: Progress | None = None,
    *,
    first_alone: bool = False,
    hide_stderr: bool = False,
) -> Generator[tuple[Item, Result]]:
    """Runs the work on all items in several processes; yields (item, result) as each one finishes.

    A worker that dies (say, killed for memory) is replaced; `Work.failed` gives the result of its item. When the
    iteration ends, for whatever reason, the workers are terminated, see `Work.cleans_up`. If this process is killed,
    they end after their current item. Close the generator if the loop over it may end early.

    Args:
        work: the computation; each worker gets a pickled copy.
        items: its inputs, sent to the workers in this order; pickled, and not None.
        workers: number of processes, at least 1.
        progress: called with (steps done, steps in total), summed over the items in progress.
        first_alone: whether the other workers start only when the first one is ready.
        hide_stderr: whether the workers' standard error is kept back; the reason why one ended then has its last line.

    Raises:
        Exception: what a worker raised; it ends the work on all items.
    """
    pending, running, started = deque(items), list[WorkerProcess[Item]](), 0
    others_may_start = not first_alone
    answers: SimpleQueue[tuple[WorkerProcess[Item], Answer | None]] = SimpleQueue()
    try:
        while pending or running:
            while pending and len(running) < (workers if others_may_start else 1):
                started += 1
                log_prefix = f"worker {started}: " if log_is_shown() else None
                running.append(WorkerProcess(answers, hide_stderr))
                running[-1].begin(pending.popleft(), log_prefix, work)
            worker, answer = answers.get()
            if worker not in running:  # it was given no further item, and has ended
                continue
            if answer is None:
                reason = worker.how_it_ended(work.advice)
                running.remove(worker)
                yield worker.item, work.failed(worker.item, reason)
                continue
            if isinstance(answer, Begun):
                others_may_start = True
                continue
            if isinstance(answer, Raised):
                raise answer.error
            if isinstance(answer, Finished):
                item = worker.item
                if pending:
                    worker.begin(pending.popleft())
                else:
                    worker.finish()
                    running.remove(worker)
                yield item, answer.result
                continue
            worker.progressed = answer
            if progress is not None:
                _report([each.progressed for each in running], progress)
    finally:
        end([worker.process for worker in running], close_stdin=True)
        for worker in running:
            worker.close()


def _report(steps: Iterable[Progressed], progress: Progress) -> None:
    total = sum(each.total for each in steps)
    if total:
        progress(sum(each.done for each in steps), total)


class WorkerProcess(Generic[Item]):
    """A worker process and the item it works on.

    Args:
        answers: receives (worker, answer) from a thread, and (worker, None) when there are no more.
        hide_stderr: whether its standard error is kept back.
    """

    item: Item

    def __init__(self, answers: SimpleQueue[tuple[WorkerProcess[Item], Answer | None]], hide_stderr: bool) -> None:
        self._stderr = tempfile.TemporaryFile() if hide_stderr else None  # noqa: SIM115
        with sigint_blocked():
            self.process = subprocess.Popen(
                worker_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
            )
        self._stdin, self._stdout = cast("IO[bytes]", self.process.stdin), cast("IO[bytes]", self.process.stdout)
        self._unreadable = ""
        self._thread = Thread(target=self._forward, args=(answers,), name="bedside-worker-answers", daemon=True)
        self._thread.start()

    def begin(self, item: Item, *before: object) -> None:
        """Sends the worker its next item; before the first one, the log's prefix and the work."""
        self.item, self.progressed = item, Progressed(0, 0)
        self._send(*before, item)

    def finish(self) -> None:
        """Lets the worker end, and waits for it."""
        self._send(None)
        self.process.wait()
        self.close()

    def how_it_ended(self, advice: str) -> str:
        """Waits for the end of a worker that closed its pipe, and describes it."""
        code = self.process.wait()
        ended = self._unreadable or f"its process {how_it_ended(code, advice)}"
        if self._stderr is not None and code >= 0:
            self._stderr.seek(0)
            lines = self._stderr.read().decode(errors="replace").split("\n")
            ended += f": {next((line.strip() for line in reversed(lines) if line.strip()), 'it said nothing')}"
        self.close()
        return ended

    def close(self) -> None:
        """Closes the pipes and the file of a worker that has ended."""
        self._thread.join()
        self._stdout.close()
        with suppress(OSError):  # it may hold what a worker that died did not read
            self._stdin.close()
        if self._stderr is not None:
            self._stderr.close()

    def _send(self, *messages: object) -> None:
        content = b"".join(map(pickle.dumps, messages))
        with suppress(OSError):  # it has died, and the thread notices that
            self._stdin.write(content)
            self._stdin.flush()

    def _forward(self, answers: SimpleQueue[tuple[WorkerProcess[Item], Answer | None]]) -> None:
        try:
            while self._stdout.readline() not in (FIRST_LINE, b""):
                pass
            while True:
                answers.put((self, pickle.load(self._stdout)))
        except (EOFError, OSError):
            pass
        except Exception as error:
            self._unreadable = f"its process gave an answer that cannot be read ({error})"
            self.process.kill()
        answers.put((self, None))
