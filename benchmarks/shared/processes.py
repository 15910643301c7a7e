"""Runs the unfinished runs of an experiment, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

Run = TypeVar("Run", bound="tuple[str | int, ...]")


class Experiment(ABC, Generic[Run]):
    """The runs of an output folder; a run is a tuple, whose parts name its log and are the arguments of its program.

    Args:
        out: folder of the experiment.
        program: script that makes one run: ``program OUT PART PART …``. It goes on with an interrupted run, and saves
            a checkpoint when it is terminated.
    """

    def __init__(self, out: Path, program: Path) -> None:
        self.out, self.program = out, program

    @abstractmethod
    def is_done(self, run: Run) -> bool:
        """Returns whether a run is finished."""
        ...

    def needs(self, run: Run) -> Sequence[Run]:
        """Returns the runs that have to be finished before this one begins."""
        return ()

    def run_all(self, runs: Sequence[Run], *, jobs: int, threads: int, ended: Callable[[], object]) -> list[Run]:
        """Runs the unfinished runs, in their order.

        Args:
            runs: all runs, those before that others need.
            jobs: processes at a time.
            threads: CPU threads of each.
            ended: called after every run.

        Returns:
            The runs that failed, and those that need a failed one.
        """
        (self.out / "logs").mkdir(parents=True, exist_ok=True)
        waiting = [run for run in runs if not self.is_done(run)]
        running: dict[Run, subprocess.Popen[bytes]] = {}
        failed: list[Run] = []
        try:
            while waiting or running:
                for run in [run for run in waiting if any(needed in failed for needed in self.needs(run))]:
                    waiting.remove(run)
                    failed.append(run)
                ready = [run for run in waiting if all(self.is_done(needed) for needed in self.needs(run))]
                for run in ready[: jobs - len(running)]:
                    waiting.remove(run)
                    print(f"{time.strftime('%H:%M:%S')} {run} starts, {len(waiting)} wait", flush=True)
                    running[run] = self._started(run, threads)
                time.sleep(1)
                for run in [run for run, process in running.items() if process.poll() is not None]:
                    code = running.pop(run).returncode
                    print(f"{time.strftime('%H:%M:%S')} {run} ended with {code}", flush=True)
                    if code:
                        failed.append(run)
                    ended()
        finally:
            for process in running.values():
                process.terminate()  # it saves a checkpoint
            for process in running.values():
                process.wait()
        return failed

    def _started(self, run: Run, threads: int) -> subprocess.Popen[bytes]:
        parts = [str(part) for part in run]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        with (self.out / "logs" / f"{'_'.join(parts)}.log").open("ab") as log:
            command = [sys.executable, str(self.program), str(self.out), *parts]
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment)
