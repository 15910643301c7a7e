"""The options of jobs on a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from bedside.cli.options.cluster import ClusterOptions, SchedulerName
from bedside.runtime.errors import UsageError


def requested(**given):
    return ClusterOptions(**given).requested(jobs=3, threads=2, folder=Path("out"))


def test_without_a_cluster_there_are_no_jobs():
    assert requested() is None


def test_a_job_has_the_cpus_of_its_threads_unless_told_otherwise():
    assert requested(cluster=SchedulerName.LOCAL).threads == 2
    assert requested(cluster=SchedulerName.LOCAL, job_cpus=8).threads == 8


def test_what_a_job_may_use_is_handed_on():
    cluster = requested(cluster=SchedulerName.SLURM, partition="p", job_minutes=5, job_memory=3.5, job_gpus=1)
    assert (cluster.scheduler, cluster.jobs, cluster.folder, cluster.partition) == ("slurm", 3, Path("out"), "p")
    assert (cluster.minutes, cluster.memory_gb, cluster.gpus) == (5, 3.5, 1)


@pytest.mark.parametrize("option", ["partition", "job_cpus", "job_minutes", "job_memory", "job_gpus"])
def test_options_of_jobs_go_with_a_cluster(option):
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} goes with --cluster"):
        requested(**{option: 1})


def test_a_partition_goes_with_slurm():
    with pytest.raises(UsageError, match="--partition goes with --cluster slurm"):
        requested(cluster=SchedulerName.LOCAL, partition="p")
