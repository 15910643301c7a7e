"""A scan goes through the pipeline with the same result, whichever execution plan was chosen."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.runtime import Grid, InputError, Volume
from bedside.runtime.execution_plan import ExecutionPlan
from bedside.runtime.hooks import STAGES, Hooks
from bedside.runtime.labels.postprocess import Postprocessing
from bedside.runtime.pipeline import ScanPipeline
from bedside.runtime.request import SegmentationRequest
from bedside.runtime.scan_pass import ScanPass
from bedside.runtime.scans.scan import Scan
from bedside.runtime.windows.axis_order import MODEL_ORDER, AxisOrder
from bedside.runtime.windows.plan import plan_windows

AIR, FAT, BONE = -1000, 0, 1000
PLANS = [(True, MODEL_ORDER, np.float32), (False, AxisOrder((2, 0, 1)), np.float32), (True, MODEL_ORDER, np.float16)]


class ArithmeticEngine:
    name, precision, device, parallel = "arithmetic", "fp32", "ABACUS", 1

    def __init__(self, toy):
        self._toy = toy

    def infer(self, patches):
        return self._toy.nearest_mean_logits(patches)


@pytest.fixture
def run(toy, task):
    """Returns a function that segments HU [X, Y, Z] on voxels of 3 mm with one plan."""

    def segmented(hu, streamed, order, dtype, **options):
        scan = Scan(Volume(hu, Grid(hu.shape, np.diag([3.0, 3.0, 3.0, 1.0]))))
        request = SegmentationRequest(scan, task, overlap=0.25, **options)
        windows = plan_windows(order.sizes(hu.shape[::-1]), order.sizes(task.patch.dhw), request.overlap)
        plan = ExecutionPlan(streamed, order, windows, dtype, bytes=0)
        return ScanPipeline(ScanPass(ArithmeticEngine(toy), request, plan, Hooks())).run()

    return segmented


@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_gives_the_tissue_of_each_voxel(run, plan):
    hu = np.full((30, 24, 40), AIR, np.int16)
    hu[4:24, 5:20, 18:38] = FAT
    hu[8:12, 9:15, 25:33] = BONE
    result = run(hu, *plan)
    assert np.array_equal(result.labels, np.searchsorted([AIR, FAT, BONE], hu))
    assert result.windows_skipped > 0
    assert result.volumes_ml == pytest.approx({"fat": 156.816, "bone": 5.184})  # 5808 and 192 voxels of 27 mm³
    assert (tuple(result.timings), result.warnings) == (STAGES, ())
    assert (result.engine, result.precision, result.device) == ("arithmetic", "fp32", "ABACUS")


@pytest.mark.parametrize("plan", PLANS)
def test_all_windows_of_a_scan_without_body_are_run(run, plan):
    hu = np.full((20, 20, 20), AIR, np.int16)
    hu[0, 0, 0] = -900
    result = run(hu, *plan)
    assert (result.windows, result.windows_skipped) == (12, 0)  # 2 · 2 · 3 along x, y, z
    assert "no tissue found" in result.warnings[0]
    assert result.warnings[-1] == "the result is empty: no voxel was labelled"


@pytest.mark.parametrize("plan", PLANS)
def test_a_scan_of_one_value_is_refused(run, plan):
    with pytest.raises(InputError, match="got the same value -1000 in every voxel"):
        run(np.full((20, 20, 20), AIR, np.int16), *plan)


@pytest.mark.parametrize("plan", PLANS)
def test_post_processing_gets_the_body_of_the_scan(run, plan):
    hu = np.full((30, 24, 40), AIR, np.int16)
    hu[4:24, 5:20, 18:38] = FAT
    result = run(hu, *plan, postprocessing=Postprocessing(within_body=True))
    assert [(entry.step, entry.label, entry.voxels) for entry in result.postprocessing] == [
        ("within_body", "fat", 0),
        ("within_body", "bone", 0),
    ]
