"""The logic of the scripts in benchmarks/planner."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from bedside.devices.planner.costs import model_cost
from bedside.devices.planner.roofline import Interval
from bedside.devices.probe.kernels import Kernel
from bedside.devices.probe.networks import kernel_network
from bedside.devices.probe.results import Series

from ..devices.probe.probes import kernel

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "planner"


@pytest.fixture
def script(import_script):
    return import_script(SCRIPTS, ["planner", "mlperf_unet", "probed", "cpu_group", "models", "window_memory"])


def test_the_network_is_mlperfs(script):
    cost = model_cost(script("mlperf_unet").mlperf_unet())
    assert Counter(node.op for node in cost.nodes) == {
        "Conv": 23, "ConvTranspose": 5, "InstanceNormalization": 22, "Relu": 22, "Concat": 5,
    }  # fmt: skip
    # The first convolutions by hand: 27 products of each of 1, then 32 channels for each of 32 channels of 128³ voxels.
    convolutions = [node.operations for node in cost.nodes if node.op == "Conv"]
    assert convolutions[:2] == [2 * 27 * 32 * 128**3, 2 * 27 * 32 * 32 * 128**3]


def test_a_median_scan_has_75_windows(script):
    assert script("planner").windows() == 5 * 5 * 3  # of 333 × 333 × 201 voxels, in steps of 64


def test_predictions_of_both_devices_hold_the_published_time(script):
    planner = script("planner")
    rows = planner.compared(model_cost(script("mlperf_unet").mlperf_unet()).quantized())
    assert [row.device for row in rows] == ["agx-orin-64", "orin-nx-16"]
    assert all(row.covered for row in rows)
    assert rows[1].predicted.predicted / rows[0].predicted.predicted == pytest.approx(5.08 / 1.96, rel=0.1)


def test_a_measured_time_meets_the_prediction_of_its_own_series(script, tmp_path):
    probed = script("probed")
    (tmp_path / "a.8.fp32.onnx").write_bytes(kernel_network(Kernel("conv", 8, 8, 8), 1))
    series = {
        key: Series(
            engine="onnxruntime",
            precision="fp32",
            threads=1,
            kernels=(kernel("conv", 8, 8, 8, seconds), kernel("copy", 8, 8, 8, seconds)),
        )
        for key, seconds in (("1 onnxruntime fp32 1", 1e-3), ("2 onnxruntime fp32 1", 2e-3))
    }
    measured = [probed.Measured(cores, "onnxruntime", "fp32", 1, "a", 8, seconds=3e-3) for cores in (1, 2)]
    one, two = probed.compared(tmp_path, probed.Figures("time", measured, series))
    assert two.ratio == pytest.approx(2 * one.ratio)
    assert one.error == pytest.approx(abs(one.ratio - 1))


def test_a_row_of_the_table_has_median_worst_and_what_the_interval_holds(script):
    probed = script("probed")
    measured = probed.Measured(1, "onnxruntime", "fp32", 1, "a", 8, seconds=1.0)
    rows = [probed.Compared(measured, Interval(0.9, each, 1.2)) for each in (1.1, 0.7, 1.0)]
    rows.append(probed.Compared(measured, Interval(1.1, 1.2, 1.3)))
    assert probed.table("student", rows, lambda each: each.student)[2:4] == [
        "| a | 4 | 15% | 30% | 0.70 … 1.20 | 3 |", "| all | 4 | 15% | 30% | 0.70 … 1.20 | 3 |",
    ]  # fmt: skip


def test_settings_are_all_cores_with_one_and_all_threads_and_one_core(script):
    found = script("probed").settings(["onnxruntime"], 2)
    assert [(cores, each.precision, each.threads) for cores, each in found] == [
        (2, "fp32", 1), (2, "fp32", 2), (1, "fp32", 1), (2, "int8", 1), (2, "int8", 2), (1, "int8", 1),
        (2, "uint8", 1), (2, "uint8", 2), (1, "uint8", 1),
    ]  # fmt: skip


def test_memory_is_what_a_process_needs_for_a_model(script, tmp_path):
    memory = script("window_memory")
    setting = memory.SeriesSetting("onnxruntime", "fp32", 1)
    for channels in (8, 64):
        (tmp_path / f"{channels}.onnx").write_bytes(kernel_network(Kernel("conv", channels, channels, 32), 1))
    small, large = (memory.measured_memory(tmp_path / f"{channels}.onnx", setting, 32) for channels in (8, 64))
    assert large - small > 56 * 32**3 * 4  # one tensor of 56 channels more, at least


def test_under_a_quota_there_are_as_many_threads_as_cpus_rounded_up(script):
    found = script("probed").settings(["onnxruntime"], 4, 1.5)
    assert [(cores, each.precision, each.threads) for cores, each in found] == [
        (4, "fp32", 2), (4, "int8", 2), (4, "uint8", 2),
    ]  # fmt: skip
    (small, *_) = script("probed").settings(["onnxruntime"], 2, 0.5)
    assert small[1].threads == 1


def test_times_of_different_quotas_belong_to_different_series(script):
    probed = script("probed")
    free, half = (probed.Measured(2, "onnxruntime", "fp32", 1, "a", 8, 1.0, quota) for quota in (None, 0.5))
    assert (free.key, half.key) == ("2 onnxruntime fp32 1", "2 onnxruntime fp32 1 quota 0.5")
    assert probed.shown_limits(half) == "onnxruntime fp32, 1 threads on 2 cores, quota 0.5"


@pytest.fixture
def groups(tmp_path):
    """A machine with a control group of version 1, in which this process is."""
    own = tmp_path / "sys/fs/cgroup/cpu/job"
    own.mkdir(parents=True)
    (own.parent / "cpu.cfs_quota_us").write_text("-1")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("5:cpu,cpuacct:/job\n4:memory:/other\n")
    return own


def test_a_group_gets_the_quota_and_the_process(script, groups, tmp_path, monkeypatch):
    removed = []
    monkeypatch.setattr(
        Path, "rmdir", lambda folder: removed.append(folder)
    )  # of real control groups, whose files go with them
    with script("cpu_group").cpu_group(0.5, before_others=True, root=tmp_path):
        (group,) = groups.glob("bedside-*")
        written = {file.name: file.read_text() for file in group.iterdir()}
    assert written == {
        "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000", "cpu.shares": "262144",
        "cgroup.procs": str(os.getpid()),
    }  # fmt: skip
    assert (groups / "cgroup.procs").read_text() == str(os.getpid())
    assert removed == [group]


@pytest.mark.parametrize(
    ("own", "parent"), [("/", ""), ("/user.slice/session-1.scope", "user.slice"), ("/of/the/host", "")]
)
def test_with_control_groups_of_version_2_the_group_is_beside_the_own(script, tmp_path, monkeypatch, own, parent):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"0::{own}\n")
    mount = tmp_path / "sys/fs/cgroup"
    (mount / "user.slice/session-1.scope").mkdir(parents=True)
    (mount / "cgroup.controllers").write_text("cpuset cpu io memory\n")
    for folder in (mount, mount / "user.slice"):
        (folder / "cgroup.subtree_control").write_text("memory\n")
    monkeypatch.setattr(Path, "rmdir", lambda folder: None)  # the kernel removes a group with its files
    with script("cpu_group").cpu_group(1.5, before_others=True, root=tmp_path):
        (group,) = (mount / parent).glob("bedside-*")
        written = {file.name: file.read_text() for file in group.iterdir()}
    assert written == {"cpu.max": "150000 100000", "cpu.weight": "10000", "cgroup.procs": str(os.getpid())}
    assert (mount / parent / "cgroup.subtree_control").read_text() == "+cpu"
    back = mount / own.lstrip("/") if parent else mount
    assert (back / "cgroup.procs").read_text() == str(os.getpid())


def test_a_machine_without_control_groups_is_named(script, tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    with (
        pytest.raises(FileNotFoundError, match="no control groups with the controller cpu"),
        script("cpu_group").cpu_group(0.5, root=tmp_path),
    ):
        pass


def test_nothing_asked_for_needs_no_control_group(script, tmp_path):
    with script("cpu_group").cpu_group(None, root=tmp_path):
        assert not list(tmp_path.iterdir())
