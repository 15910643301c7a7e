"""Ends all processes of a training on one node when one of them has died.

The first process of a node starts the others. Without this watch the survivors would wait for the dead process, with
NCCL for its timeout of twelve hours, and Lightning Fabric would end the first process with SIGKILL, without a message.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment

from ...runtime.errors import ExitCode

LOST = (
    "another process of this training has ended; if it left no message it was killed, perhaps for want of memory; "
    "go on with --resume"
)

_FIRST = "BEDSIDE_FIRST_PROCESS"
_ASK_AGAIN = 0.2  # seconds
_GRACE = 5.0  # seconds for the training to notice the loss itself and print its traceback
_FAREWELL_SECONDS = 20.0


class Companions:
    """Context manager that watches the other processes of a training from a thread.

    It does nothing for a single process, and under torchrun or SLURM, which watch their processes themselves.

    Attributes:
        is_helper: whether the first process of this node started this process.

    Args:
        fabric: a Fabric that is not launched yet.
    """

    def __init__(self, fabric: Fabric) -> None:
        launcher = fabric.strategy.launcher
        self._expected = getattr(launcher, "num_processes", 1) - 1
        self._started: list[subprocess.Popen[bytes]] = getattr(launcher, "procs", [])
        self._helpers: list[subprocess.Popen[bytes]] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        environment = getattr(fabric.strategy, "cluster_environment", None)
        self.is_helper = False
        if isinstance(environment, LightningEnvironment) and self._expected > 0:
            self.is_helper = environment.local_rank() > 0
            work = self._watch_first if self.is_helper else self._watch_helpers
            self._thread = threading.Thread(target=work, name="bedside-companions", daemon=True)

    def __enter__(self) -> Companions:
        if self._thread is not None:
            if not self.is_helper:
                os.environ[_FIRST] = str(os.getpid())
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_watching()

    def _stop_watching(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def part(self) -> None:
        """Leaves torch's process group and waits up to 20 s for each process started here; kills those that remain."""
        self._stop_watching()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for helper in self._all():
            try:
                helper.wait(_FAREWELL_SECONDS)
            except subprocess.TimeoutExpired:
                helper.kill()

    def kill(self) -> None:
        """Kills the processes started here: they write no files, and could wait for this process for ever."""
        self._stop_watching()
        for helper in self._all():
            helper.kill()

    def _all(self) -> list[subprocess.Popen[bytes]]:
        return [*self._helpers, *self._started]

    def _watch_helpers(self) -> None:
        while not self._over.wait(_ASK_AGAIN):
            if len(self._started) == self._expected:  # emptied list: Fabric's own observer ends
                self._helpers, self._started[:] = list(self._started), []
            if any(helper.poll() for helper in self._helpers):
                self._end_if_nobody_does()

    def _watch_first(self) -> None:
        first = os.environ.get(_FIRST)  # unset where a user started every process by hand
        while first and not self._over.wait(_ASK_AGAIN):
            if os.getppid() != int(first):
                self._end_if_nobody_does()

    def _end_if_nobody_does(self) -> None:
        if self._over.wait(_GRACE):
            return
        print(f"bedside: error: {LOST}", file=sys.stderr, flush=True)  # an exception in this thread would reach nobody
        for helper in self._helpers:
            helper.kill()
        os._exit(ExitCode.RESOURCE)
