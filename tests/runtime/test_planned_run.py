"""One process plans a scan and holds its memory, another one segments it; here both are in this process."""

import pickle

import numpy as np
import pytest
from bedside.runtime import Cancelled, Grid, SegmentationOptions, Segmenter, UsageError, Volume
from bedside.runtime.planned_run import run_planned

from .test_segmenter import AFFINE, phantom


def test_another_segmenter_runs_what_one_planned_after_it_released_its_networks(bundle_path):
    hu, truth = phantom()
    scan, steps, options = Volume(hu, Grid(hu.shape, AFFINE)), [], SegmentationOptions()
    with (
        Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as planner,
        Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as runner,
    ):
        planner.release_engines()
        with planner.reserve(scan) as reserved:
            plan = pickle.loads(pickle.dumps(reserved.plan))
            result = run_planned(runner, scan, plan, options, progress=lambda done, total: steps.append((done, total)))
            with pytest.raises(UsageError):
                reserved.run()
        with pytest.raises(Cancelled):
            run_planned(runner, scan, plan, options, cancel=lambda: True)
    assert np.array_equal(result.labels, truth)
    assert steps[-1] == (len(plan.main.windows), len(plan.main.windows))


def test_the_options_of_the_plan_hold_where_it_is_run(bundle_path):
    hu, _ = phantom()
    hu = hu.astype(np.float32)
    hu[0, 0, 0] = np.nan
    scan, options = Volume(hu, Grid(hu.shape, AFFINE)), SegmentationOptions(replace_nan=-1000, skip_air=False)
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as segmenter:
        with segmenter.reserve(scan, options) as reserved:
            plan, expected = reserved.plan, reserved.run()
        result = run_planned(segmenter, scan, plan, options)
    assert np.array_equal(result.labels, expected.labels)
    assert (result.windows, result.windows_skipped, result.warnings) == (expected.windows, 0, expected.warnings)
