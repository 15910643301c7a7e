"""A device's cores and memory hold in a process, by a control group where one can be made, else by rlimit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from bedside.devices import benchmark, load_profile
from bedside.devices.hardware.device_profile import DeviceProfile, Figure
from bedside.devices.measurement.imposed import LABEL, Imposed, imposing
from bedside.runtime.errors import ResourceError, UsageError

from ..sensors.test_throttling import write

SMALL = {"key": "small", "title": "Small box", "sources": {"s": "made up"}}


def profile(**figures):
    return DeviceProfile(**SMALL, **{name: Figure(value=value, source="s") for name, value in figures.items()})


def machine(root, *, group="/user.slice/run.scope", passes_on="cpu memory", memory="32000000"):
    """A machine with version 2, where this process is in ``group``, whose parent group passes controllers on."""
    write(root, "proc/meminfo", f"MemTotal: {memory} kB")
    write(root, "proc/self/cgroup", f"0::{group}")
    write(root, "sys/fs/cgroup/cgroup.controllers", "cpu io memory")
    write(root, "sys/fs/cgroup/cgroup.subtree_control", "")
    for folder in ("user.slice", "user.slice/run.scope"):
        write(root, f"sys/fs/cgroup/{folder}/cgroup.procs", "")
        write(root, f"sys/fs/cgroup/{folder}/cgroup.subtree_control", passes_on if folder == "user.slice" else "")
    return root


def test_without_version_2_of_control_groups_the_limit_is_that_of_the_process(tmp_path):
    write(tmp_path, "proc/meminfo", "MemTotal: 32000000 kB")
    with imposing(load_profile("orin-nano-4"), tmp_path) as imposed:
        assert (imposed.method, imposed.groups, imposed.memory, imposed.device_cores) == ("rlimit", None, 4 * 10**9, 6)
        assert imposed.cores == min(6, len(os.sched_getaffinity(0)))
        assert imposed.described.startswith(f"{LABEL}: as Jetson Orin Nano 4 GB, 4 GB by rlimit, on ")


def test_a_group_beside_ones_own_is_used_where_the_parent_passes_memory_on(tmp_path):
    with imposing(profile(memory_gb=2), machine(tmp_path)) as imposed:
        assert imposed.groups == str(tmp_path / "sys/fs/cgroup/user.slice")
        assert imposed.method == "cgroup"


@pytest.mark.parametrize("changes", [{"passes_on": "cpu"}, {"group": "/"}])
def test_a_group_without_memory_is_not_used(tmp_path, changes):
    with imposing(profile(memory_gb=2), machine(tmp_path, **changes)) as imposed:
        assert imposed.method == "rlimit"


def test_a_process_joins_a_group_of_its_own_with_the_devices_memory(tmp_path):
    """Recorded files stand in for the kernel, which makes the files of a group itself."""
    folder = tmp_path / "groups"
    folder.mkdir()
    code = (
        "from bedside.devices.measurement.imposed import Imposed\n"
        f"Imposed('small', 'Small', 123456, 1, 1, 'cgroup', {str(folder)!r}).impose()\n"
        "import os; print(os.getpid(), len(os.sched_getaffinity(0)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    process, cores = done.stdout.split()
    group = folder / f"bedside-benchmark-{os.getpid()}-{process}"
    assert ((group / "memory.max").read_text(), (group / "cgroup.procs").read_text()) == ("123456", process)
    assert cores == "1"


def test_the_limit_of_a_process_refuses_what_the_device_could_not_hold():
    code = (
        "from bedside.devices.measurement.imposed import Imposed\n"
        "Imposed('small', 'Small', 200_000_000, 1, 1, 'rlimit').impose()\n"
        "from bedside.runtime.memory.free_memory import free_memory\n"
        "print(free_memory() < 200_000_000)\n"
        "bytearray(50_000_000)\n"
        "try:\n    bytearray(250_000_000)\nexcept MemoryError:\n    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "refused"]


def test_a_machine_with_less_memory_than_the_device_is_refused(tmp_path):
    with (
        pytest.raises(ResourceError, match="a limit would not bind here"),
        imposing(profile(memory_gb=64), machine(tmp_path)),
    ):
        pass


def test_a_profile_without_memory_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no figure for memory"), imposing(profile(cores=2), machine(tmp_path)):
        pass


def test_a_bundle_that_is_too_big_for_the_device_is_refused_as_there(tiny_bundle, tmp_path):
    """Its processes hold Python and NumPy already; 0.09 GB leave nothing for a scan."""
    write(
        tmp_path,
        "small.toml",
        'title = "Small box"\nmemory_gb = { value = 0.09, source = "s" }\n[sources]\ns = "made up"',
    )
    with pytest.raises(ResourceError, match="no variant could be measured"):
        benchmark(
            tiny_bundle,
            engines=["onnxruntime"],
            precisions=["fp32"],
            threads=1,
            min_seconds=0.0,
            rounds=1,
            as_device=tmp_path / "small.toml",
        )


def test_threads_beyond_the_imposed_cores_are_said(tiny_bundle, tmp_path):
    content = 'title = "One core"\ncores = { value = 1, source = "s" }\nmemory_gb = { value = 1, source = "s" }\n'
    write(tmp_path, "one.toml", content + '[sources]\ns = "made up"')
    report = benchmark(
        tiny_bundle,
        engines=["onnxruntime"],
        precisions=["fp32"],
        threads=2,
        min_seconds=0.0,
        rounds=1,
        end_to_end=False,
        as_device=tmp_path / "one.toml",
    )
    assert "2 threads on 1 usable cores: they will wait for each other" in report.warnings


def test_the_label_is_in_the_report(tiny_bundle):
    report = benchmark(
        tiny_bundle,
        engines=["onnxruntime"],
        precisions=["fp32"],
        min_seconds=0.0,
        rounds=1,
        end_to_end=False,
        as_device="orin-nano-4",
    )
    assert isinstance(report.imposed, Imposed)
    assert report.to_dict()["imposed"]["label"] == "memory-true, speed-untrue"
    assert report.threads <= 6
