"""What a node would find in its queue: work that is not finished, and what a killed run left behind. Reads alone."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import ResourceError
from ...runtime.files.lock import Lock, acquire_lock
from .series_folder import SeriesFolder


@dataclass(frozen=True, kw_only=True)
class QueueState:
    """What is in the folder of a queue.

    Attributes:
        node_runs: whether a node holds the queue; what it receives at the moment is then not counted.
        unfinished: series without a result, or whose result is not delivered.
        receiving: storescp processes of a killed node that still run.
        received: instances that a storescp of a killed node received, and that the next run takes.
        cut_off: instances that were being written when their storescp was killed, and that the next run removes.
    """

    node_runs: bool = False
    unfinished: int = 0
    receiving: int = 0
    received: int = 0
    cut_off: int = 0

    @property
    def lines(self) -> list[str]:
        """Lines that tell what the queue holds; of an empty one, a line says that nothing waits."""
        counts = {
            "unfinished series, with which the node goes on: {}": self.unfinished,
            "storescp processes of a killed node that still run, to the end of their associations: {}": self.receiving,
            "instances that a killed node did not take, and the next run takes: {}": self.received,
            "instances cut off when their storescp was killed, which the next run removes: {}": self.cut_off,
        }
        running = ["a node runs with this queue"] if self.node_runs else []
        left = [words.format(count) for words, count in counts.items() if count]
        return running + (left or ["nothing waits in the queue"])

    @classmethod
    def of(cls, folder: Path) -> QueueState:
        """Reads the folder of a queue, which may not be there yet.

        Raises:
            ResourceError: it cannot be read.
        """
        try:
            unfinished = [series for series in map(SeriesFolder.read, (folder / "series").glob("*")) if is_left(series)]
            if _is_held(folder / "lock"):
                return cls(node_runs=True, unfinished=len(unfinished))
            return _with_incoming(folder / "incoming", len(unfinished))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ResourceError(f'the queue "{folder.name}" cannot be read ({reason}); check its permissions') from None


def is_left(series: SeriesFolder) -> bool:
    """Whether a node has something to do for a series."""
    return bool(series.instances) and not series.is_finished


def _is_held(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return acquire_lock(descriptor, wait=False) is Lock.HELD_BY_OTHER
    finally:
        os.close(descriptor)


def _with_incoming(incoming: Path, unfinished: int) -> QueueState:
    if sys.platform != "linux" or not incoming.is_dir():  # no other system runs storescp
        return QueueState(unfinished=unfinished)
    from .incoming import files_by_time, has_writer, is_whole

    receiving = received = cut_off = 0
    for folder in filter(Path.is_dir, incoming.iterdir()):
        if has_writer(folder):
            receiving += 1
            continue
        files = files_by_time(folder)
        ends_whole = not files or is_whole(files[-1])
        received += len(files) - (not ends_whole)
        cut_off += not ends_whole
    return QueueState(unfinished=unfinished, receiving=receiving, received=received, cut_off=cut_off)
