"""The queue of a node on disk: instances by series, and what became of them. It survives kill -9 and full disks.

The folder holds ``key`` (random bytes, by which identifiers become names), ``lock`` and ``series/KEY/``. Every file is
written beside its place, synced and renamed; what a file's name says is all the state there is, so that a node that
was killed goes on from the folder alone.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import secrets
import shutil
import time
from collections.abc import Generator, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import msgspec

from ...runtime.errors import ResourceError
from ...runtime.files.atomic import atomic_write, make_folder
from ...runtime.files.lock import Lock, acquire_lock, release_lock
from .accepted import InstanceName
from .outcome import Delivery, Outcome, State
from .series_folder import INSTANCE_SUFFIX, SeriesFolder

_log = logging.getLogger("bedside.node")

_GIB = 2**30


class QueueFullError(ResourceError):
    """The queue holds as much as it may, or the disk has too little free space."""


class Queue:
    """The queue; safe to share between threads, and held by one process at a time. Make one with `open`.

    Args:
        folder: its folder.
        key: random bytes of this queue.
        quiet_seconds: how long a series has to be quiet to be complete.
        max_bytes: bytes that it may hold.
        min_free_bytes: free disk space that it leaves.
        open_seconds: how long a series has to be quiet while an association is open that sent some of it.
    """

    def __init__(
        self,
        folder: Path,
        key: bytes,
        quiet_seconds: float,
        max_bytes: float = 1e18,
        min_free_bytes: float = 0,
        open_seconds: float = 0,
    ) -> None:
        self._folder = folder
        self._key = key
        self._quiet_seconds = quiet_seconds
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._open_seconds = open_seconds
        self._lock = RLock()
        self._series: dict[str, SeriesFolder] = {}
        self._holds_all_until = math.inf

    @classmethod
    @contextmanager
    def open(
        cls,
        folder: Path,
        *,
        quiet_seconds: float,
        max_gib: float = 1e9,
        min_free_gib: float = 0,
        open_seconds: float = 0,
    ) -> Generator[Queue]:
        """Yields the queue of a folder, which is made where there is none.

        Raises:
            ResourceError: the folder cannot be written, or another node holds it.
        """
        make_folder(folder)
        folder.chmod(0o700)  # it holds scans
        descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            if acquire_lock(descriptor, wait=False) is Lock.HELD_BY_OTHER:
                raise ResourceError(
                    f'the queue "{folder.name}" is held by another node; stop it, or use another folder'
                )
            limits = (max_gib * _GIB, min_free_gib * _GIB, open_seconds)
            queue = cls(folder, _own_key(folder / "key"), quiet_seconds, *limits)
            queue._read()
            yield queue
        finally:
            release_lock(descriptor)  # also from copies of the descriptor in children
            os.close(descriptor)

    def _read(self) -> None:
        now = time.monotonic()
        for trash in self._folder.glob("removed-*"):
            shutil.rmtree(trash, ignore_errors=True)
        for folder in sorted((self._folder / "series").glob("*")):
            series = SeriesFolder.read(folder)
            series.changed, series.quiet_seconds = now, self._quiet_seconds
            self._series[series.key] = series

    @property
    def lock(self) -> RLock:
        """Guards the fields of all series."""
        return self._lock

    @property
    def incoming(self) -> Path:
        """Folder on the disk of the queue for what another program receives."""
        return self._folder / "incoming"

    @property
    def size(self) -> int:
        """Bytes of all instances."""
        with self._lock:
            return sum(series.size for series in self._series.values())

    def name(self, *words: str) -> str:
        """Returns a name that only this queue gives to some identifiers, and that does not show them."""
        return hashlib.blake2b("\0".join(words).encode(), key=self._key, digest_size=16).hexdigest()

    def uid(self, *words: str) -> str:
        """Returns a DICOM UID (PS3.5, B.2) that this queue always gives to the same words."""
        return f"2.25.{int(self.name('uid', *words), 16)}"

    def put(self, name: InstanceName, content: bytes, *, acknowledged: bool = False, sender: str | None = None) -> str:
        """Writes an instance; one that is there already stays as it is, and a refused series of it is tried again.

        Args:
            name: its identifiers.
            content: a DICOM file.
            acknowledged: whether the sender relies on it already, so that the limits of the queue come too late.
            sender: name of the association that sent it, until `ended`; None where nothing more is to come.

        Returns:
            The key of its series.

        Raises:
            QueueFullError: the queue is full, or the disk nearly so.
            ResourceError: the disk does not take it.
        """
        key = self.name("series", name.patient, name.study, name.series)
        file = self.name("instance", name.instance) + INSTANCE_SUFFIX
        with self._lock:
            if key in self._series and file in self._series[key].instances:
                series = self._series[key]
                self._touch(series, sender)
                if series.outcome is not None and series.outcome.state is State.REFUSED:
                    series.forget()
                return key
        if not acknowledged:
            self.check_space(len(content))
        with self._lock:  # from here on the series is not removed
            series = self._series.get(key) or SeriesFolder(self._folder / "series" / key)
            self._series[key] = series
            series.writing += 1
        try:
            series.make_folders(self._folder)
            with atomic_write(series.instance_folder / file) as temporary:
                temporary.write_bytes(content)
            with self._lock:
                if file not in series.instances:
                    series.instances.add(file)
                    series.size += len(content)
                self._touch(series, sender)
        finally:
            with self._lock:
                series.writing -= 1
        return key

    def ended(self, sender: str, quiet_seconds: float | None = None) -> None:
        """Notes the end of an association; with ``quiet_seconds`` it broke, and its series wait so long for more."""
        with self._lock:
            for series in self._series.values():
                if sender in series.senders:
                    series.senders.discard(sender)
                    if quiet_seconds is not None:
                        series.changed = time.monotonic()
                        series.quiet_seconds = max(quiet_seconds, self._quiet_seconds)

    def holds_all_until(self, now: float) -> None:
        """Says up to which second of the monotonic clock all that was received is in the queue; without it, always.

        What was received later and is not in the queue yet may belong to any series: none is called quiet beyond it.
        """
        with self._lock:
            self._holds_all_until = now

    def due(self, now: float) -> list[SeriesFolder]:
        """Returns the series that are complete and not worked on yet, the one that waits longest first."""
        with self._lock:
            now = min(now, self._holds_all_until)
            due = [each for each in self._series.values() if each.is_due(now, self._open_seconds)]
            return sorted(due, key=lambda each: each.changed)

    def record(self, series: SeriesFolder, outcome: Outcome) -> None:
        """Writes an entry of the journal; raises `ResourceError` where the disk does not take it."""
        with self._lock:
            series.record(outcome)

    def discard_undelivered_unless(self, made_by: Set[str]) -> None:
        """Discards undelivered results that were made by another rule or bundle; their series are segmented again.

        Args:
            made_by: hashes of the rules with their bundles, of which any result is kept.

        Raises:
            ResourceError: the disk does not allow it.
        """
        with self._lock:
            for series in self._series.values():
                outcome = series.outcome
                if outcome is not None and outcome.pending and outcome.made_by not in made_by:
                    _log.info("series %s: the rule or bundle of its waiting result has changed", series.key[:8])
                    series.forget()

    def pending(self) -> list[tuple[SeriesFolder, Delivery]]:
        """Returns the results to deliver; none of a series that has grown since, because it gets another."""
        with self._lock:
            found: list[tuple[SeriesFolder, Delivery]] = []
            for series in self._series.values():
                outcome = series.outcome
                found += [(series, each) for each in (outcome.pending if outcome is not None else ())]
            return found

    def delivered(self, series: SeriesFolder, delivery: Delivery) -> None:
        """Records that a peer has acknowledged a result."""
        with self._lock:
            for outcome in list(series.outcomes.values()):
                if delivery in outcome.pending:
                    left = tuple(each for each in outcome.pending if each != delivery)
                    series.record(msgspec.structs.replace(outcome, pending=left, seconds=time.time()))

    def remove_finished(self, keep_seconds: float) -> int:
        """Removes the series that have been finished for some seconds; returns how many."""
        removed = 0
        for series in self:
            trash = self._moved_away(series, time.time() - keep_seconds)
            if trash is not None:
                shutil.rmtree(trash, ignore_errors=True)
                removed += 1
        return removed

    def __iter__(self) -> Iterator[SeriesFolder]:
        with self._lock:
            return iter(list(self._series.values()))

    def _moved_away(self, series: SeriesFolder, until: float) -> Path | None:
        """Moves a series away that was finished by a second since 1970, and returns where; None for any other series.

        It looks and moves under one lock, so that no instance can be put in and acknowledged between the two.
        """
        with self._lock:
            outcome = series.outcome
            if series.writing or outcome is None or not series.is_finished or outcome.seconds > until:
                return None
            trash = self._folder / f"removed-{secrets.token_hex(8)}"
            series.folder.rename(trash)
            del self._series[series.key]
        return trash

    def _touch(self, series: SeriesFolder, sender: str | None) -> None:
        series.changed, series.quiet_seconds = time.monotonic(), self._quiet_seconds
        series.senders |= {sender} if sender is not None else set()

    def check_space(self, size: int = 0) -> None:
        """Raises `QueueFullError` where some more bytes would be above a limit."""
        if self.size + size > self._max_bytes:
            raise QueueFullError("the queue is full (limits.max_queue_gib); deliver its results, or raise the limit")
        if shutil.disk_usage(self._folder).free - size < self._min_free_bytes:
            raise QueueFullError("the disk has too little free space (limits.min_free_gib); free some")


def _own_key(file: Path) -> bytes:
    """Returns the random bytes of a queue, made the first time."""
    if not file.exists():
        with atomic_write(file) as temporary:
            temporary.write_bytes(secrets.token_bytes(32))
            temporary.chmod(0o600)
    key = file.read_bytes()
    if len(key) != 32:
        raise ResourceError(f'"{file.name}" of the queue is damaged; restore it, or use another folder')
    return key
