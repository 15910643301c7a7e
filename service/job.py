"""One job of the service: a scan in a folder of its own, its progress, and its outcome."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.errors import ExitCode
from ..runtime.segmentation_options import SegmentationOptions
from .answers import JobAnswer, ResultAnswer, State
from .refusal import Failure, RefusedError
from .segmenting import WANTED, Answer, ScanItem

if TYPE_CHECKING:
    from ..dicom import DicomSeries
    from ..runtime.reserved_scan import ReservedScan
    from .served_bundle import ServedBundle

GONE = "the scan is no longer here; post it again"
FINISHED: tuple[State, ...] = ("done", "failed", "cancelled")


class Job:
    """A scan that was accepted; shared between the server and the worker.

    Args:
        name: the job's id.
        bundle: the bundle that segments the scan.
        folder: the job's own folder, with the scan.
    """

    def __init__(self, name: str, bundle: ServedBundle, folder: Path) -> None:
        self.name, self.bundle, self.folder = name, bundle, folder
        self.reservation = ExitStack()  # closing it gives the scan's memory back
        self.scan: Path | DicomSeries | None = None
        self.reserved: ReservedScan | None = None
        self.options = SegmentationOptions()
        self._lock, self._files, self._removed = threading.Lock(), threading.Lock(), False
        self._stop = threading.Event()
        self._state: State = "queued"
        self._done = self._total = 0
        self._failure: Failure | None = None
        self._result: ResultAnswer | None = None
        self._finished: float | None = None

    @property
    def state(self) -> State:
        """What became of it so far."""
        return self._state

    @property
    def result(self) -> ResultAnswer | None:
        """What the segmentation found; None until the job is done."""
        return self._result

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen."""
        return self._state in FINISHED

    @property
    def finished_seconds(self) -> float:
        """Seconds since it was finished; 0 before."""
        return 0.0 if self._finished is None else time.monotonic() - self._finished

    def cancelled(self) -> bool:
        """Whether somebody asked to cancel; the runtime calls it before every window."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """Asks to cancel: a queued job is finished at once, a running one before its next window."""
        self._stop.set()
        with suppress(OSError):  # not yet there, or the folder is gone
            (self.folder / WANTED).unlink()
        with self._lock:
            waits = self._state == "queued"
            if waits:
                self._finish("cancelled")
        if waits:
            self.reservation.close()

    def begin(self) -> bool:
        """Marks the job as running; False where it was cancelled before."""
        with self._lock:
            if self._state != "queued":
                return False
            self._state = "running"
            return True

    def item(self) -> ScanItem:
        """Returns what the worker process gets of it."""
        if self.scan is None or self.reserved is None:
            raise RuntimeError("the job has no scan")
        (self.folder / WANTED).touch()
        if self.cancelled():  # meanwhile
            (self.folder / WANTED).unlink(missing_ok=True)
        return ScanItem(self.bundle.name, self.folder, self.scan, self.reserved.plan, self.options)

    def progress(self, done: int, total: int) -> None:
        """Notes the windows that are done."""
        self._done, self._total = done, total

    def finish(self, answer: Answer) -> None:
        """Notes the answer of the worker process; what was cancelled before it came stays cancelled."""
        with self._lock:
            if self.cancelled() or (isinstance(answer, Failure) and answer.code == ExitCode.INTERRUPTED):
                self._finish("cancelled")
            elif isinstance(answer, ResultAnswer):
                self._result = answer
                self._done = self._total
                self._finish("done")
            elif isinstance(answer, Failure):
                self._failure = answer
                self._finish("failed")

    def _finish(self, state: State) -> None:
        self._state, self._finished = state, time.monotonic()

    def remove(self) -> None:
        """Cancels the job and removes its files, as soon as `using_files` has ended."""
        self.cancel()
        with self._files:
            self._removed = True
            shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def using_files(self) -> Generator[None]:
        """Keeps the job's files while something is written beside them: what came later would stay behind them.

        Raises:
            RefusedError: they have been removed.
        """
        with self._files:
            if self._removed:
                raise RefusedError(404, GONE, ExitCode.USAGE)
            yield

    def answer(self, keep_seconds: float) -> JobAnswer:
        """Returns what the API answers about it.

        Args:
            keep_seconds: how long a finished job is kept.
        """
        with self._lock:
            left = None if self._finished is None else max(0.0, keep_seconds - (time.monotonic() - self._finished))
            return JobAnswer(
                id=self.name,
                bundle=self.bundle.name,
                state=self._state,
                done=self._done,
                total=self._total,
                code=self._code(),
                error=self._failure,
                result=self._result,
                seconds_left=left,
            )

    def _code(self) -> int | None:
        if self._failure is not None:
            return self._failure.code
        if self._result is not None:
            return int(ExitCode.REVIEW if self._result.needs_review else ExitCode.OK)
        return int(ExitCode.INTERRUPTED) if self._state == "cancelled" else None
