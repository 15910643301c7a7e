"""A pass gives a receiver every voxel of the scan once, in blocks."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from bedside.runtime import Grid, Volume, scan_pass
from bedside.runtime.execution_plan import ExecutionPlan
from bedside.runtime.hooks import Hooks
from bedside.runtime.labels.postprocess import Postprocessing
from bedside.runtime.request import SegmentationRequest
from bedside.runtime.scan_pass import ScanPass
from bedside.runtime.scans.scan import Scan
from bedside.runtime.windows.axis_order import MODEL_ORDER
from bedside.runtime.windows.organ_region import OrganRegion
from bedside.runtime.windows.plan import plan_windows
from bedside.runtime.windows.window_input import InMemoryInput

SHAPE = (16, 12, 40)
GRID = Grid(SHAPE, np.diag([3.0, 3.0, 3.0, 1.0]))


class Counted:
    def __init__(self):
        self.voxels = np.zeros(SHAPE[::-1], int)

    def add(self, block):
        _, planes, rows, _ = block.scores.shape
        self.voxels[block.z : block.z + planes, block.y : block.y + rows] += 1


class FlatEngine:
    parallel = 1

    def infer(self, patches):
        return np.zeros((1, 3, *patches.shape[2:]), np.float32)


@pytest.fixture
def passed(task):
    def run(hu, streamed=True, region=None, receiver=Counted, **options):
        request = SegmentationRequest(Scan(Volume(hu, GRID)), task, overlap=0.0, **options)
        plan = ExecutionPlan(streamed, MODEL_ORDER, plan_windows(SHAPE[::-1], task.patch.dhw, 0.0), np.float32, 0)
        return ScanPass(FlatEngine(), request, plan, Hooks(), region).run(receiver)

    return run


def body():
    hu = np.full(SHAPE, -1000, np.int16)
    hu[4:12, 4:8, :20] = 0
    return hu


@pytest.mark.parametrize("streamed", [True, False])
def test_every_voxel_is_received_once(passed, streamed):
    result = passed(body(), streamed)
    assert (result.received.voxels == 1).all()
    assert (result.run.computed, result.run.skipped, result.run.without_organ) == (3, 2, 0)
    assert (result.warnings, result.body) == ((), None)


def test_without_body_a_fresh_receiver_gets_the_scan_from_all_windows(passed):
    hu = body()
    hu[hu == 0] = -900
    result = passed(hu)
    assert (result.received.voxels == 1).all()
    assert (result.run.computed, result.run.skipped) == (5, 0)


def test_the_run_without_body_is_forgotten_before_all_windows_run(passed):
    hu, made = body(), []
    hu[hu == 0] = -900

    def receiver():
        assert all(earlier() is None for earlier in made)
        new = Counted()
        made.append(weakref.ref(new))
        return new

    passed(hu, receiver=receiver)
    assert len(made) == 2


def test_the_scan_as_stored_is_freed_before_the_prepared_one_is_padded(passed, monkeypatch):
    loaded = []

    def load(_):
        data = body()
        loaded.append(weakref.ref(data))
        return Volume(data, GRID)

    def padded(*given):
        assert loaded[0]() is None
        return InMemoryInput(*given)

    monkeypatch.setattr(Scan, "load", load)
    monkeypatch.setattr(scan_pass, "InMemoryInput", padded)
    assert passed(body(), streamed=False).run.computed == 3


def test_windows_outside_the_region_are_left_out(passed):
    mask = np.zeros(SHAPE[::-1], np.bool_)
    mask[3] = True
    result = passed(body(), region=OrganRegion(mask, GRID, 0.0))
    assert (result.run.computed, result.run.skipped, result.run.without_organ) == (1, 2, 2)


@pytest.mark.parametrize("streamed", [True, False])
def test_the_body_is_kept_for_post_processing(passed, streamed):
    result = passed(body(), streamed, postprocessing=Postprocessing(within_body=True))
    labels = np.ones(SHAPE, np.uint8)
    assert result.body.clear_outside(labels, GRID, 2)[1] == (labels == 0).sum()
    assert labels[4:12, 4:8, :20].all()
