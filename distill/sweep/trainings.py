"""Runs `bedside distill` commands in processes of their own, several at a time, or as jobs of a cluster."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from ...processes.child import bedside_command, end
from ...processes.cluster import Cluster, run_on_cluster
from ...processes.signals import sigint_blocked
from ...runtime.engines import default_threads
from ...runtime.errors import ExitCode

_log = logging.getLogger("bedside.distill")

Started = Callable[[str, int, int], None]
"""Called with (name of the run, number of the training from 1, trainings in total)."""

_THREADS = "OMP_NUM_THREADS"
_POLL_SECONDS = 0.2


def run_trainings(
    commands: Mapping[str, Sequence[str]],
    *,
    jobs: int = 1,
    started: Started | None = None,
    cluster: Cluster | None = None,
) -> dict[str, int]:
    """Runs trainings, ``jobs`` at a time; one that fails does not stop the others.

    Their progress and messages go to this process's stderr; what they print on stdout is dropped. Any exception in
    this process (Ctrl-C, SIGTERM) ends the trainings, see `end`; they end too if this process is killed. Several at a
    time share the processor's cores, unless OMP_NUM_THREADS says how many each may use.

    Args:
        commands: name of the run → arguments after ``bedside``.
        jobs: trainings at a time.
        started: called when a training starts; of a cluster, when its job is submitted.
        cluster: where to run the trainings in place of this machine, divided among its jobs, which start in the
            current folder. None for no cluster.

    Returns:
        Name of the run → exit code, or minus the number of the signal that killed it, as in `subprocess`; of a job that
        died, the code for resources.
    """
    if cluster is not None:
        for number, name in enumerate(commands, 1):
            if started:
                started(name, number, len(commands))
        items = [_Command(name, tuple(arguments)) for name, arguments in commands.items()]
        with closing(run_on_cluster(_Training(cluster.threads), items, cluster)) as ended:
            return {command.name: code for command, code in ended}
    environment = dict(os.environ)
    if jobs > 1:
        environment.setdefault(_THREADS, str(max(1, default_threads() // jobs)))
    waiting = list(commands.items())
    running: dict[str, subprocess.Popen[bytes]] = {}
    codes: dict[str, int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name, arguments = waiting.pop(0)
                if started:
                    started(name, len(commands) - len(waiting), len(commands))
                with sigint_blocked():
                    running[name] = _start(arguments, environment)
            for name in [name for name, child in running.items() if child.poll() is not None]:
                codes[name] = _closed(running.pop(name))
            time.sleep(_POLL_SECONDS if running else 0)
    except BaseException:
        end(list(running.values()))
        for child in running.values():
            _closed(child)
        raise
    return codes


@dataclass(frozen=True)
class _Command:
    """A training: the name of its run, and what follows ``bedside``."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class _Training:
    """Runs trainings in a job, each in a process of its own."""

    threads: int
    cleans_up: ClassVar[bool] = True
    advice: ClassVar[str] = "give a job more memory or time"

    @contextmanager
    def ready(self) -> Generator[Callable[[_Command, Any], int]]:
        yield self._train

    def failed(self, item: _Command, reason: str) -> int:
        _log.warning('"%s": %s', item.name, reason)
        return ExitCode.RESOURCE

    def _train(self, item: _Command, progress: Any) -> int:
        child = _start(item.arguments, {**os.environ, _THREADS: str(self.threads)})
        try:
            while child.poll() is None:
                time.sleep(_POLL_SECONDS)
        except BaseException:
            end([child])
            raise
        finally:
            code = _closed(child)
        return code


def _start(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        bedside_command(arguments),
        stdin=subprocess.PIPE,  # it ends where this process is killed
        stdout=subprocess.DEVNULL,
        env=environment,
    )


def _closed(child: subprocess.Popen[bytes]) -> int:
    """Frees what this process holds of an ended child and returns its exit code."""
    with child:
        return child.wait()
