"""The logic of the scripts in benchmarks/planner."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from bedside.devices.planner.costs import model_cost
from bedside.devices.planner.roofline import Interval
from bedside.devices.probe.kernels import Kernel
from bedside.devices.probe.results import Series

from ..devices.probe.probes import kernel

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "planner"


@pytest.fixture
def script(import_script):
    return import_script(SCRIPTS, ["planner", "mlperf_unet", "probed"])


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
    (tmp_path / "a.8.fp32.onnx").write_bytes(Kernel("conv", 8, 8, 8).network(1))
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
    ]  # fmt: skip


def test_memory_is_what_a_process_needs_for_a_model(script, tmp_path):
    probed = script("probed")
    setting = probed.SeriesSetting("onnxruntime", "fp32", 1)
    for channels in (8, 64):
        (tmp_path / f"{channels}.onnx").write_bytes(Kernel("conv", channels, channels, 32).network(1))
    small, large = (probed.measured_memory(tmp_path / f"{channels}.onnx", setting, 32) for channels in (8, 64))
    assert large - small > 56 * 32**3 * 4  # one tensor of 56 channels more, at least
