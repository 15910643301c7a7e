"""What a sheared scan takes is predicted: neither straightening nor the search for its voxels exceeds it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from bedside.runtime import Grid, Volume, execution_plan
from bedside.runtime.hooks import Hooks
from bedside.runtime.labels.postprocess import Postprocessing
from bedside.runtime.pipeline import ScanPipeline
from bedside.runtime.preprocessing.voxel_mapping import MAPPING_BYTES
from bedside.runtime.request import SegmentationRequest
from bedside.runtime.scan_pass import ScanPass
from bedside.runtime.scans.scan import Scan


class ArithmeticEngine:
    """The toy network of three intensities, in NumPy, so that every array is counted."""

    name, precision, device, parallel = "arithmetic", "fp32", "ABACUS", 1

    def __init__(self, toy):
        self._toy = toy

    def infer(self, patch):
        return self._toy.nearest_mean_logits(patch)


@pytest.mark.parametrize(("shape", "degrees"), [((110, 90, 60), 20), ((40, 130, 70), -30), ((120, 100, 12), 8)])
def test_the_prediction_holds(toy, shape, degrees):
    task = toy.task(patch=(32, 32, 32), spacing=(2.0, 2.0, 2.0))
    affine = np.diag([1.5, 1.5, 2.5, 1])
    affine[1:3, 1] = 1.5 * np.cos(np.radians(degrees)), 1.5 * np.sin(np.radians(degrees))
    hu = np.random.default_rng(1).integers(-1000, 1000, shape, dtype=np.int16)
    scan = Scan(Volume(hu, Grid(shape, affine)))
    request = SegmentationRequest(scan, task, overlap=0.5, postprocessing=Postprocessing(within_body=True))
    engine = ArithmeticEngine(toy)
    plan = execution_plan.choose_plan(request, engine)
    arrays = (plan.bytes - execution_plan.SLACK_BYTES) / execution_plan.SLACK
    tracemalloc.start()
    try:
        labels = ScanPipeline(ScanPass(engine, request, plan, Hooks())).run().labels
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert labels.shape == shape
    assert 0.4 * (arrays - MAPPING_BYTES) < peak <= arrays
