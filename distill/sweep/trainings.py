"""Runs `bedside distill` commands in processes of their own, several at a time, or as jobs of a cluster."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any, ClassVar

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
_OWN = "bedside: "  # at the start of a command's warnings and errors


def run_trainings(
    commands: Mapping[str, Sequence[str]],
    *,
    jobs: int = 1,
    started: Started | None = None,
    cluster: Cluster | None = None,
) -> dict[str, int]:
    """Runs trainings, ``jobs`` at a time; one that fails does not stop the others.

    Their progress and messages go to this process's stderr, those of jobs to its log when they have ended, without
    their progress; what they print on stdout is dropped. Any exception in
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
            return {command.name: _told(command, training) for command, training in ended}
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
class _Ended:
    """A training that has ended in a job.

    Attributes:
        code: as `run_trainings` returns it.
        said: its warnings and errors, which the job's own log would take with it.
    """

    code: int
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Training:
    """Runs trainings in a job, each in a process of its own."""

    threads: int
    cleans_up: ClassVar[bool] = True
    advice: ClassVar[str] = "give a job more memory or time"

    @contextmanager
    def ready(self) -> Generator[Callable[[_Command, Any], _Ended]]:
        yield self._train

    def failed(self, item: _Command, reason: str) -> _Ended:
        return _Ended(ExitCode.RESOURCE, (reason,))

    def _train(self, item: _Command, progress: Any) -> _Ended:
        with TemporaryFile() as messages:
            child = _start(item.arguments, {**os.environ, _THREADS: str(self.threads)}, messages)
            try:
                while child.poll() is None:
                    time.sleep(_POLL_SECONDS)
            except BaseException:
                end([child])
                raise
            finally:
                code = _closed(child)
            messages.seek(0)
            lines = messages.read().decode("utf-8", "replace").splitlines()
        return _Ended(code, tuple(line.removeprefix(_OWN) for line in lines if line.startswith(_OWN)))


def _told(command: _Command, training: _Ended) -> int:
    """Logs what a training in a job said; returns its code."""
    for line in training.said:
        _log.warning('"%s": %s', command.name, line)
    return training.code


def _start(
    arguments: Sequence[str], environment: Mapping[str, str], messages: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        bedside_command(arguments),
        stdin=subprocess.PIPE,  # it ends where this process is killed
        stdout=subprocess.DEVNULL,
        stderr=messages,  # None: this process's own
        env=environment,
    )


def _closed(child: subprocess.Popen[bytes]) -> int:
    """Frees what this process holds of an ended child and returns its exit code."""
    with child:
        return child.wait()
