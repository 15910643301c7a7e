"""All jobs of the service: how many there may be, where their files are, and when these are removed."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from ..runtime.errors import ExitCode
from .disk_room import require_room
from .job import Job
from .private_folder import private_folder
from .refusal import RefusedError, busy
from .served_bundle import ServedBundle
from .settings import Settings

_ID_BYTES = 16


class Jobs:
    """The jobs, in one private folder that goes with the ``with`` block; safe to share between threads.

    What a killed service left behind is removed when the next one starts.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._receiving = 0
        self._ending = ExitStack()

    def __enter__(self) -> Jobs:
        parent = Path(tempfile.gettempdir()) if self._settings.folder is None else self._settings.folder
        self.folder = self._ending.enter_context(private_folder(parent))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for job in list(self._jobs.values()):
            job.remove()
        self._ending.close()

    @property
    def waiting(self) -> int:
        """Jobs that are not finished, uploads included."""
        with self._lock:
            return self._receiving + sum(not job.is_finished for job in self._jobs.values())

    def open(self, bundle: ServedBundle, declared: int) -> Job:
        """Takes a place for an upload, and makes its folder; `add` or `drop` must follow.

        Args:
            bundle: the bundle that is to segment the scan.
            declared: bytes that the client says it sends; 0 where it does not say.

        Raises:
            RefusedError: there is no place, or no room on the disk.
        """
        with self._lock:
            unfinished = sum(not job.is_finished for job in self._jobs.values())
            if self._receiving >= self._settings.uploads:
                raise busy(f"{self._receiving} scans are being received; try again")
            if unfinished + self._receiving >= self._settings.waiting:
                raise busy(f"{unfinished} scans wait or are segmented; try again")
            if len(self._jobs) + self._receiving >= self._settings.kept:
                raise busy(f"{len(self._jobs)} results are kept; fetch and delete some, or try again later")
            require_room(self.folder, declared)
            self._receiving += 1
        name = secrets.token_hex(_ID_BYTES)
        job = Job(name, bundle, self.folder / secrets.token_hex(_ID_BYTES))
        try:
            job.folder.mkdir(mode=0o700)
        except OSError:
            self.drop(job)
            raise
        return job

    def add(self, job: Job) -> None:
        """Accepts the job whose scan was received."""
        with self._lock:
            self._receiving -= 1
            self._jobs[job.name] = job

    def drop(self, job: Job) -> None:
        """Gives up a job whose scan was not accepted, with its files."""
        with self._lock:
            self._receiving -= 1
        job.reservation.close()
        shutil.rmtree(job.folder, ignore_errors=True)

    def find(self, name: str) -> Job:
        """Returns a job by its id.

        Raises:
            RefusedError: there is none, or its time is over.
        """
        with self._lock:
            job = self._jobs.get(name)
        if job is None or self._is_expired(job):
            raise RefusedError(404, "there is no such job, or no longer; post the scan again", ExitCode.USAGE)
        return job

    def remove(self, job: Job) -> None:
        """Cancels a job and forgets it; its files go when nothing writes there any more."""
        with self._lock:
            self._jobs.pop(job.name, None)
        job.remove()

    def expire(self) -> None:
        """Removes the jobs that were finished long enough ago; it takes as long as deleting their files does."""
        with suppress(OSError):  # somebody else has removed the folder; the next upload says so
            os.utime(self.folder)  # `remove_leftovers` of another container goes by the time where there are no jobs
        with self._lock:
            old = [job for job in self._jobs.values() if self._is_expired(job)]
        for job in old:
            self.remove(job)

    def _is_expired(self, job: Job) -> bool:
        return job.is_finished and job.finished_seconds >= self._settings.keep_seconds

    def cancel_all(self) -> None:
        """Asks every job to cancel."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
