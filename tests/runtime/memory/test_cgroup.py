from __future__ import annotations

from pathlib import Path

import pytest
from bedside.runtime.memory.cgroup import Limits, read_limits

GIB = 2**30


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_v2_quota_of_150_ms_in_100_ms_is_one_and_a_half_cpus(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"})
    assert read_limits(root).cpus == pytest.approx(1.5)


def test_v2_max_is_no_limit(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/memory.max": "max\n"}
    assert read_limits(write(tmp_path, {"proc/self/cgroup": "0::/\n", **files})) == Limits(None, None, None)


def test_the_tightest_limit_of_all_groups_around_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/a/b\n",
        "sys/fs/cgroup/a/memory.max": str(2 * GIB),
        "sys/fs/cgroup/a/memory.current": str(GIB),
        "sys/fs/cgroup/a/b/memory.max": str(8 * GIB),
        "sys/fs/cgroup/a/b/memory.current": str(GIB),
    }
    limits = read_limits(write(tmp_path, files))
    assert (limits.memory, limits.memory_free) == (2 * GIB, GIB)


def test_page_cache_that_can_be_dropped_counts_as_free(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": str(4 * GIB),
        "sys/fs/cgroup/memory.current": str(3 * GIB),
        "sys/fs/cgroup/memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}\n",
    }
    assert read_limits(write(tmp_path, files)).memory_free == 3 * GIB


def test_v1_limits_are_read_where_cpu_and_cpuacct_share_a_folder(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/job\n1:cpu,cpuacct:/job\n",
        "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "200000",
        "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": str(GIB),
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    }
    limits = read_limits(write(tmp_path, files))
    assert (limits.cpus, limits.memory) == (2.0, GIB)


def test_v1_writes_no_limit_as_a_huge_number_and_minus_one(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/\n1:cpu:/\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    }
    assert read_limits(write(tmp_path, files)) == Limits(None, None, None)


def test_inside_a_container_a_path_of_the_host_falls_back_to_the_mount(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/docker/0123\n", "sys/fs/cgroup/memory.max": str(GIB)}
    assert read_limits(write(tmp_path, files)).memory == GIB
