"""Distributes a list of items among jobs of a cluster, through submitit: SLURM, or processes of this machine."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..runtime.errors import MissingExtraError, ResourceError, first_line
from ..runtime.files.atomic import make_folder
from .shard import read_result, run_shard
from .signals import sigint_as_by_default
from .worker import Finished, Raised, Work

Item = TypeVar("Item")
Result = TypeVar("Result")
Scheduler = Literal["local", "slurm"]

_POLL_SECONDS = 0.5
_ASK_SECONDS = 5.0  # between two questions to the scheduler whether a job still runs
_LATE_SECONDS = 10.0  # within which a shared folder shows what a job wrote before it ended
_CANCEL_SECONDS = 30.0  # for cancelled jobs to remove what they had half written


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where jobs run, and what each of them may use.

    Attributes:
        scheduler: ``slurm``, or ``local`` for processes of this machine.
        jobs: number of jobs among which the items are divided.
        threads: CPUs of each job.
        folder: folder that all machines share; a folder of the jobs is made in it, and removed at the end.
        minutes: longest time of a job.
        memory_gb: memory of each job; None for the scheduler's own rule.
        gpus: GPUs of each job.
        partition: SLURM's partition; None for its default one.
    """

    scheduler: Scheduler
    jobs: int
    threads: int
    folder: Path
    minutes: int = 24 * 60
    memory_gb: float | None = None
    gpus: int = 0
    partition: str | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of each job, by submitit's names."""
        given: dict[str, Any] = {
            "name": "bedside",
            "timeout_min": self.minutes,
            "cpus_per_task": self.threads,
            "tasks_per_node": 1,
            "nodes": 1,
        }
        if self.memory_gb is not None:
            given["mem_gb"] = self.memory_gb
        if self.gpus:
            given["gpus_per_node"] = self.gpus
        if self.partition is not None and self.scheduler == "slurm":
            given["slurm_partition"] = self.partition
        return given


def run_on_cluster(work: Work[Item, Result], items: Sequence[Item], cluster: Cluster) -> Generator[tuple[Item, Result]]:
    """Runs the work on all items in jobs; yields (item, result) as each one finishes, like `run_in_workers`.

    Every job gets every n-th item. A job that dies or runs out of time leaves its other items to `Work.failed`. When
    the iteration ends, for whatever reason, the jobs are cancelled; if this process is killed, they go on and their
    results are lost. Close the generator if the loop over it may end early.

    Args:
        work: the computation; each job gets a pickled copy.
        items: its inputs; pickled.
        cluster: where the jobs run.

    Raises:
        MissingExtraError: submitit is not installed.
        ResourceError: the scheduler refuses the jobs, or the folder cannot be written.
        BedsideError: what a job raised; it ends the work on all items.
    """
    if find_spec("submitit") is None:
        raise MissingExtraError("submitit", "cluster")
    make_folder(cluster.folder)
    folder = Path(tempfile.mkdtemp(prefix=".bedside-jobs-", dir=cluster.folder)).resolve()
    shards = [dict(list(enumerate(items))[first :: cluster.jobs]) for first in range(min(cluster.jobs, len(items)))]
    jobs: list[Any] = []
    try:
        jobs += _submitted(work, shards, folder, cluster)
        yield from _collected(work, list(zip(jobs, map(dict, shards), strict=True)), folder)
    finally:
        _cancelled(jobs)
        shutil.rmtree(folder, ignore_errors=True)


def _submitted(
    work: Work[Item, Result], shards: Sequence[Mapping[int, Item]], folder: Path, cluster: Cluster
) -> list[Any]:
    import submitit
    from submitit.core.utils import FailedJobError

    try:
        executor = submitit.AutoExecutor(folder=folder / "submitit", cluster=cluster.scheduler)
        executor.update_parameters(**cluster.parameters)
        with sigint_as_by_default(), executor.batch():  # by which local jobs are cancelled
            return [executor.submit(run_shard, work, shard, folder) for shard in shards]
    except (FailedJobError, RuntimeError, OSError, ValueError, NameError) as error:
        raise ResourceError(f"{cluster.scheduler} refuses the jobs: {first_line(error)}") from None


def _collected(
    work: Work[Item, Result], running: list[tuple[Any, dict[int, Item]]], folder: Path
) -> Generator[tuple[Item, Result]]:
    """Yields results as their files appear, until no job has an item left."""
    ended: dict[int, float] = {}  # place of a job → when it was first seen to have ended
    asked = time.monotonic()
    while any(shard for _, shard in running):
        may_ask = time.monotonic() - asked >= _ASK_SECONDS
        for place, (job, shard) in enumerate(running):
            if not shard:
                continue
            has_ended = (place in ended) or (
                may_ask and job.done()
            )  # before the files are read: they are then all there
            for number in list(shard):
                answer = read_result(folder, number)
                if isinstance(answer, Raised):
                    raise answer.error
                if isinstance(answer, Finished):
                    yield shard.pop(number), answer.result
            if has_ended and time.monotonic() - ended.setdefault(place, time.monotonic()) > _LATE_SECONDS:
                reason = _how_it_ended(job, work.advice)
                for number in list(shard):
                    item = shard.pop(number)
                    yield item, work.failed(item, reason)
        asked = time.monotonic() if may_ask else asked
        time.sleep(_POLL_SECONDS)


def _how_it_ended(job: Any, advice: str) -> str:
    state = str(job.state).strip().lower() or "unknown state"
    with suppress(OSError):
        lines = [line.strip() for line in Path(job.paths.stderr).read_text(errors="replace").splitlines()]
        last = next((line for line in reversed(lines) if line), "")
        return f"its job ended before it ({state}); {last or advice}"
    return f"its job ended before it ({state}); {advice}"


def _cancelled(jobs: Sequence[Any]) -> None:
    """Cancels the jobs that still run, and waits until they have removed what they had half written."""
    running = [job for job in jobs if not job.done(force_check=True)]
    for job in running:
        job.cancel()
    deadline = time.monotonic() + _CANCEL_SECONDS
    while running and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        running = [job for job in running if not job.done(force_check=True)]
