"""The logic of the scripts in benchmarks/planner."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from bedside.devices.planner.costs import model_cost

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "planner"


@pytest.fixture
def script(import_script):
    return import_script(SCRIPTS, ["planner", "mlperf_unet"])


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
