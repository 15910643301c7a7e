"""Jobs of a cluster: the results of one process, whatever happens to a job."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from bedside.processes.cluster import Cluster, run_on_cluster
from bedside.processes.shard import read_result, result_file, run_shard
from bedside.processes.worker import Finished, Raised
from bedside.runtime.errors import BundleError, MissingExtraError, ResourceError

pytest.importorskip("submitit", reason="extra cluster")


@dataclass(frozen=True)
class Doubling:
    """Doubles numbers; ends its process at ``dies``, is refused at ``refuses``, hangs at ``hangs``."""

    dies: int | None = None
    refuses: int | None = None
    hangs: int | None = None
    cleans_up: ClassVar[bool] = True
    advice: ClassVar[str] = "give it more memory"

    @contextmanager
    def ready(self):
        yield self._double

    def failed(self, item, reason):
        return reason

    def _double(self, item, progress):
        progress(1, 1)
        if item == self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        if item == self.refuses:
            raise BundleError("damaged")
        if item == self.hangs:
            time.sleep(600)
        return 2 * item


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Jobs of this machine that can import this file."""
    paths = os.pathsep.join(path for path in sys.path if path)
    monkeypatch.setenv("PYTHONPATH", paths)
    return Cluster(scheduler="local", jobs=2, threads=1, folder=tmp_path / "shared")


def test_every_item_has_its_result_and_nothing_is_left(cluster):
    assert dict(run_on_cluster(Doubling(), [1, 2, 3, 4, 5], cluster)) == {1: 2, 2: 4, 3: 6, 4: 8, 5: 10}
    assert list(cluster.folder.iterdir()) == []


def test_items_of_a_job_that_died_fail_and_those_before_it_and_of_others_do_not(cluster, monkeypatch):
    monkeypatch.setattr("bedside.processes.cluster._LATE_SECONDS", 0.2)
    monkeypatch.setattr("bedside.processes.cluster._ASK_SECONDS", 0.2)
    results = dict(run_on_cluster(Doubling(dies=3), [1, 2, 3, 4, 5], cluster))
    assert [results[item] for item in (1, 2, 4)] == [2, 4, 8]
    for item in (3, 5):
        assert results[item].startswith("its job ended before it")


def test_what_refuses_all_items_ends_the_work(cluster):
    with pytest.raises(BundleError, match="damaged"):
        list(run_on_cluster(Doubling(refuses=1), [1, 2], cluster))
    assert list(cluster.folder.iterdir()) == []


def test_jobs_are_cancelled_when_the_results_are_no_longer_wanted(cluster):
    started = time.monotonic()
    with closing(run_on_cluster(Doubling(hangs=2), [1, 2], cluster)) as results:
        assert next(results) == (1, 2)
    assert time.monotonic() - started < 120
    assert list(cluster.folder.iterdir()) == []


def test_without_submitit_the_extra_is_named(cluster, monkeypatch):
    monkeypatch.setattr("bedside.processes.cluster.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bedside\[cluster\]'"):
        next(run_on_cluster(Doubling(), [1], cluster))


def test_a_scheduler_that_refuses_is_a_lack_of_resources(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    slurm = Cluster(scheduler="slurm", jobs=1, threads=1, folder=tmp_path)
    with pytest.raises(ResourceError, match="slurm refuses the jobs"):
        next(run_on_cluster(Doubling(), [1], slurm))
    assert list(tmp_path.iterdir()) == []


def test_what_a_job_may_use_is_told_to_the_scheduler():
    asked = Cluster(
        scheduler="slurm", jobs=2, threads=4, folder=Path("x"), minutes=7, memory_gb=3, gpus=1, partition="p"
    )
    assert asked.parameters == {
        "name": "bedside", "timeout_min": 7, "cpus_per_task": 4, "tasks_per_node": 1, "nodes": 1, "mem_gb": 3,
        "gpus_per_node": 1, "slurm_partition": "p",
    }  # fmt: skip


@pytest.fixture
def own_sigterm():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_shard_leaves_each_result_in_a_file(tmp_path, own_sigterm):
    run_shard(Doubling(refuses=4), {0: 3, 7: 4, 8: 5}, tmp_path)
    assert read_result(tmp_path, 0) == Finished(6)
    refused = read_result(tmp_path, 7)
    assert isinstance(refused, Raised)
    assert str(refused.error) == "damaged"
    assert read_result(tmp_path, 8) is None
    assert not result_file(tmp_path, 8).exists()
