"""Windows cut from a scan as it is read are those cut from the scan prepared whole."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from bedside.runtime import Grid, InputError, Volume, write_volume
from bedside.runtime.preprocessing.preprocess import to_model_input
from bedside.runtime.request import SegmentationRequest
from bedside.runtime.scans.open_scan import open_scan
from bedside.runtime.scans.scan import Scan
from bedside.runtime.stopwatch import Stopwatch
from bedside.runtime.task_presets import PRESETS
from bedside.runtime.windows.axis_order import MODEL_ORDER, AxisOrder
from bedside.runtime.windows.plan import plan_windows
from bedside.runtime.windows.window_input import InMemoryInput, StreamedInput

PATCH = (8, 12, 10)
CT = PRESETS["btcv"].replaced(spacing=(2.0, 2.0, 2.0), patch=PATCH[::-1])


def trunk(shape=(40, 36, 50), spacing=(1.5, 1.7, 1.3), codes="RAS"):
    rng = np.random.default_rng(0)
    hu = np.full(shape, -1000, np.int16)
    hu[10:30, 8:30, 14:40] = rng.integers(-200, 300, (20, 22, 26))
    whole = Grid(shape, np.diag([*spacing, 1.0])).reoriented(codes)
    return Volume(_turned(hu, whole), whole)


def _turned(hu, grid):
    return np.ascontiguousarray(hu.transpose(_axes(grid))[_flips(grid)])


def _axes(grid):
    return [int(np.abs(grid.affine[:3, column]).argmax()) for column in range(3)]


def _flips(grid):
    return tuple(slice(None, None, -1 if grid.affine[:3, column].sum() < 0 else 1) for column in range(3))


def inputs(volume, task=CT, overlap=0.5):
    plan, streamed = streaming(Scan(volume), task, overlap)
    whole = InMemoryInput(to_model_input(volume, task), plan, MODEL_ORDER, task.intensity.air)
    return plan, whole, streamed


def streaming(scan, task=CT, overlap=0.5):
    request = SegmentationRequest(scan, task, overlap)
    plan = plan_windows(request.grid.shape.dhw, task.patch.dhw, overlap)
    return plan, StreamedInput(request, plan, Stopwatch(("read",)))


@pytest.mark.parametrize("codes", ["RAS", "LPS", "ARS", "PLS"])
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((40, 36, 50), (1.5, 1.7, 1.3)),
        ((40, 36, 50), (2.0, 2.0, 2.0)),
        ((50, 40, 44), (0.9, 3.1, 4.0)),
        ((9, 36, 5), (2, 2, 2)),
    ],
)
def test_streamed_windows_are_those_of_the_scan_prepared_whole(codes, shape, spacing):
    if min(shape) < 30:
        volume = Volume(
            np.random.default_rng(1).integers(-900, 300, shape).astype(np.int16), Grid(shape, np.diag([*spacing, 1.0]))
        )
    else:
        volume = trunk(shape, spacing, codes)
    plan, whole, streamed = inputs(volume)
    for layers in plan.layers:
        streamed.prepare(layers)
        for start in plan.starts_of(layers):
            assert np.array_equal(streamed.window(start), whole.window(start))
            assert streamed.has_body(start) == whole.has_body(start)
    assert streamed.finish() == whole.finish()


def test_moving_on_takes_a_few_planes_beside_the_buffer():
    scan = Scan(Volume(np.broadcast_to(np.int16(0), (200, 200, 64)), Grid((200, 200, 64), np.diag([2.0, 2, 2, 1]))))
    plan, streamed = streaming(scan, CT.replaced(patch=(10, 12, 32)), overlap=0.75)
    first, second, *_ = plan.layers
    streamed.prepare(first)
    tracemalloc.start()
    streamed.prepare(second)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 4 * 200 * 200  # of float32; 26 planes stay and are moved


def test_some_windows_of_the_trunk_hold_no_body():
    plan, whole, _ = inputs(trunk((40, 36, 90)), overlap=0.0)
    assert 0 < sum(whole.has_body(start) for start in plan.starts) < len(plan)


def test_windows_in_another_order_of_axes_are_the_same():
    volume, order = trunk(), AxisOrder((1, 2, 0))
    prepared = to_model_input(volume, CT)
    shape = prepared.array.shape
    straight = plan_windows(shape, PATCH, 0.5)
    turned = plan_windows(order.sizes(shape), order.sizes(PATCH), 0.5)
    one = InMemoryInput(prepared, straight, MODEL_ORDER, 0.0)
    other = InMemoryInput(prepared, turned, order, 0.0)
    for start in turned.starts:
        same = order.sizes_back(start)
        assert np.array_equal(order.turned_back(other.window(start)), one.window(same))
        assert other.has_body(start) == one.has_body(same)


@pytest.mark.parametrize(("codes", "suits"), [("RAS", True), ("LPS", True), ("RAI", False), ("SRA", False)])
def test_only_scans_stored_from_feet_to_head_are_streamed(codes, suits):
    volume = trunk(codes=codes)
    assert StreamedInput.suits(SegmentationRequest(Scan(volume), CT, 0.5)) is suits


def test_tasks_whose_range_is_read_off_the_scan_are_not_streamed():
    volume, task = trunk(), PRESETS["amos-mr"]
    assert not StreamedInput.suits(SegmentationRequest(Scan(volume), task, 0.5))


def test_a_file_is_proven_only_at_its_end(tmp_path):
    volume = trunk()
    write_volume(tmp_path / "ct.nii.gz", volume.data, volume.grid)
    damaged = bytearray((tmp_path / "ct.nii.gz").read_bytes())
    damaged[-6] ^= 1  # the checksum
    (tmp_path / "ct.nii.gz").write_bytes(damaged)
    scan = open_scan(tmp_path / "ct.nii.gz")
    plan, streamed = streaming(scan)
    for layers in plan.layers[:-1]:
        streamed.prepare(layers)
    with pytest.raises(InputError, match="damaged"):
        streamed.prepare(plan.layers[-1])


@pytest.mark.parametrize("changed", [lambda hu: hu, lambda hu: hu + 1024, lambda hu: hu / 1000, lambda hu: hu * 10])
def test_streamed_scans_raise_the_doubts_of_scans_prepared_whole(tmp_path, changed):
    volume = trunk()
    write_volume(tmp_path / "ct.nii.gz", changed(volume.data), volume.grid)
    scan = open_scan(tmp_path / "ct.nii.gz")
    plan, streamed = streaming(scan)
    for layers in plan.layers:
        streamed.prepare(layers)
    assert streamed.finish() == to_model_input(scan.load(), CT).warnings
    assert any("intensities" in line for line in streamed.finish()) == (changed(1) != 1)


@pytest.mark.parametrize("value", [1e300, -1e300, 1e39, 2e15])
def test_values_beyond_float32_arithmetic_are_refused_before_they_are_converted(value):
    volume = trunk()
    values = volume.data.astype(np.float64)
    values[20, 20, 5:] = value
    plan, streamed = streaming(Scan(Volume(values, volume.grid)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=r"values: expected at most ±1e\+15"):
            streamed.prepare(plan.layers[0])
