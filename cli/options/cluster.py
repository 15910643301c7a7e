"""The options of jobs on a cluster: `bedside segment` over a folder, and the trainings of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...runtime.arguments import MOST_THREADS
from ...runtime.errors import UsageError

if TYPE_CHECKING:
    from ...processes.cluster import Cluster

_PANEL = "Cluster"


class SchedulerName(str, Enum):
    """Where jobs run."""

    SLURM = "slurm"
    LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Whether the work is done by jobs of a cluster, and what each may use; extra ``cluster``."""

    cluster: Annotated[
        SchedulerName | None,
        typer.Option(
            help="Run as jobs: of SLURM, or of this machine. Default: no jobs.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    partition: Annotated[
        str | None, typer.Option(help="SLURM's partition.", show_default=False, rich_help_panel=_PANEL)
    ] = None
    job_cpus: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_THREADS, help="CPUs of a job.", show_default="its threads", rich_help_panel=_PANEL
        ),
    ] = None
    job_minutes: Annotated[
        int | None, typer.Option(min=1, help="Longest time of a job.", show_default="a day", rich_help_panel=_PANEL)
    ] = None
    job_memory: Annotated[
        float | None,
        typer.Option(min=0.1, help="Memory of a job, GB.", show_default="SLURM's rule", rich_help_panel=_PANEL),
    ] = None
    job_gpus: Annotated[
        int | None, typer.Option(min=0, help="GPUs of a job.", show_default="0", rich_help_panel=_PANEL)
    ] = None

    def check(self) -> None:
        """Refuses options without an effect.

        Raises:
            UsageError: an option goes with a cluster, and there is none; or with SLURM, and it is another.
        """
        if self.cluster is None:
            for option, value in (
                ("--partition", self.partition),
                ("--job-cpus", self.job_cpus),
                ("--job-minutes", self.job_minutes),
                ("--job-memory", self.job_memory),
                ("--job-gpus", self.job_gpus),
            ):
                if value is not None:
                    raise UsageError(f"{option} goes with --cluster")
        if self.cluster is SchedulerName.LOCAL and self.partition is not None:
            raise UsageError("--partition goes with --cluster slurm")

    def requested(self, *, jobs: int, threads: int, folder: Path) -> Cluster | None:
        """Returns where the jobs run; None if no cluster was asked for.

        Args:
            jobs: number of jobs.
            threads: CPUs of each, unless the option says otherwise.
            folder: folder that all machines share.

        Raises:
            UsageError: as in `check`.
        """
        self.check()
        if self.cluster is None:
            return None
        from ...processes.cluster import Cluster

        return Cluster(
            scheduler="slurm" if self.cluster is SchedulerName.SLURM else "local",
            jobs=jobs,
            threads=self.job_cpus or threads,
            folder=folder,
            minutes=self.job_minutes or 24 * 60,
            memory_gb=self.job_memory,
            gpus=self.job_gpus or 0,
            partition=self.partition,
        )
