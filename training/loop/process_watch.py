"""Ends all processes of a training on one node when one of them has died.

The first process of a node starts the others. Without this watch the survivors would wait for the dead process, with
NCCL for its timeout of twelve hours, and Lightning Fabric would end the first process with SIGKILL, without a message.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment

from ...runtime.errors import ExitCode

PROCESS_LOST = (
    "another process of this training has ended; if it left no message it was killed, perhaps for want of memory; "
    "go on with --resume"
)
PROCESS_STOPPED = "another process of this training was stopped by a signal; go on with --resume"

_FIRST_PID = "BEDSIDE_FIRST_PROCESS"
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 5.0  # for the training to notice the loss itself and print its traceback
_END_SECONDS = 20.0
_STOPPED = {  # how a process ends that a signal stopped: by itself, or before it could handle one
    ExitCode.INTERRUPTED: ExitCode.INTERRUPTED,
    ExitCode.TERMINATED: ExitCode.TERMINATED,
    -signal.SIGINT: ExitCode.INTERRUPTED,
    -signal.SIGTERM: ExitCode.TERMINATED,
}


class ProcessWatch:
    """Context manager that watches the other processes of a training from a thread.

    It does nothing for a single process, and under torchrun or SLURM, which watch their processes themselves.

    Args:
        fabric: a Fabric that is not launched yet.

    Attributes:
        is_child: whether the first process of this node started this process.
    """

    def __init__(self, fabric: Fabric) -> None:
        launcher = fabric.strategy.launcher
        self._expected = getattr(launcher, "num_processes", 1) - 1
        self._started: list[subprocess.Popen[bytes]] = getattr(launcher, "procs", [])
        self._children: list[subprocess.Popen[bytes]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        environment = getattr(fabric.strategy, "cluster_environment", None)
        self.is_child = False
        if isinstance(environment, LightningEnvironment) and self._expected > 0:
            self.is_child = environment.local_rank() > 0
            watch = self._watch_first if self.is_child else self._watch_children
            self._thread = threading.Thread(target=watch, name="bedside-process-watch", daemon=True)

    def __enter__(self) -> ProcessWatch:
        if self._thread is not None:
            if not self.is_child:
                os.environ[_FIRST_PID] = str(os.getpid())
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_watching()

    def _stop_watching(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def finish(self) -> None:
        """Leaves torch's process group and waits up to 20 s for each process started here; kills those that remain."""
        self._stop_watching()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for child in self._all_children():
            try:
                child.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()

    def kill(self) -> None:
        """Kills the processes started here: they write no files, and could wait for this process for ever."""
        self._stop_watching()
        for child in self._all_children():
            child.kill()

    def _all_children(self) -> list[subprocess.Popen[bytes]]:
        return [*self._children, *self._started]

    def _watch_children(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            if len(self._started) == self._expected:  # Fabric's own observer stops when its list is empty
                self._children, self._started[:] = list(self._started), []
            if ends := [end for child in self._children if (end := child.poll())]:
                self._end_unless_stopped(next((_STOPPED[end] for end in ends if end in _STOPPED), ExitCode.RESOURCE))

    def _watch_first(self) -> None:
        first = os.environ.get(_FIRST_PID)  # unset where a user started every process by hand
        while first and not self._stop.wait(_POLL_SECONDS):
            if os.getppid() != int(first):
                self._end_unless_stopped(ExitCode.RESOURCE)

    def _end_unless_stopped(self, code: ExitCode) -> None:
        """Ends this process and its children, unless the training itself stops this watch within the grace period.

        While the processes of a training meet, the main thread waits in C code, where it does not notice a signal that
        all of them were sent.

        Args:
            code: exit code.
        """
        if self._stop.wait(_GRACE_SECONDS):
            return
        # An exception in this thread would not end the process.
        message = PROCESS_LOST if code == ExitCode.RESOURCE else PROCESS_STOPPED
        print(f"bedside: error: {message}", file=sys.stderr, flush=True)
        for child in self._children:
            child.kill()
        os._exit(code)
