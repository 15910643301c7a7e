"""Takes what the storescp processes of all associations have written into the queue."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from threading import Lock

from ...runtime.files.atomic import make_folder
from ...runtime.log import log_failure
from .incoming import Incoming
from .queue import Queue

_log = logging.getLogger("bedside.node")


class Collector:
    """Takes what was received, and tells the queue up to when it holds all of that: no series is complete beyond it.

    Args:
        queue: where instances go; what an earlier run left below its folder ``incoming`` is taken too.
        quiet_after_abort_seconds: how long the series of an association that broke wait for more.
    """

    def __init__(self, queue: Queue, quiet_after_abort_seconds: float) -> None:
        self._queue = queue
        self._quiet_after_abort_seconds = quiet_after_abort_seconds
        self._lock = Lock()
        self._incoming: list[Incoming] = []
        self._not_taken: set[Incoming] = set()  # those whose last try failed, so that each failure is logged once
        queue.holds_all_until(-math.inf)
        make_folder(queue.incoming)
        for folder in filter(Path.is_dir, queue.incoming.iterdir()):
            self.add(folder)

    def add(self, folder: Path) -> None:
        """Takes from the folder of an association from now on."""
        with self._lock:
            self._incoming.append(Incoming(folder, self._queue, self._quiet_after_abort_seconds))

    def take(self) -> None:
        """Takes what storescp has acknowledged by now; what fails stays, and the next call tries again."""
        started, has_all = time.monotonic(), True
        with self._lock:
            waiting = list(self._incoming)
        for each in waiting:
            try:
                has_ended = each.take()
            except Exception as error:  # the disk, memory, or a fault of ours: the others are still taken
                has_all = False
                if each not in self._not_taken:
                    _log.warning(
                        "what storescp received cannot be taken yet (%s); until it is, no series counts as complete",
                        type(error).__name__,
                    )
                    log_failure("taking failed", error)
                self._not_taken.add(each)
                continue
            self._not_taken.discard(each)
            if has_ended:
                with self._lock:
                    self._incoming.remove(each)
        if has_all:
            self._queue.holds_all_until(started)
