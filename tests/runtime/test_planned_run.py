"""One process plans a scan and holds its memory, another one segments it; here both are in this process."""

import pickle

import numpy as np
import pytest
from bedside.runtime import Cancelled, Grid, Segmenter, UsageError, Volume
from bedside.runtime.planned_run import run_planned

from .test_segmenter import AFFINE, phantom


def test_another_segmenter_runs_what_one_planned_after_it_released_its_networks(bundle_path):
    hu, truth = phantom()
    scan, steps = Volume(hu, Grid(hu.shape, AFFINE)), []
    with (
        Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as planner,
        Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as runner,
    ):
        planner.release_engines()
        with planner.reserve(scan) as reserved:
            plan = pickle.loads(pickle.dumps(reserved.plan))
            result = run_planned(runner, scan, plan, lambda done, total: steps.append((done, total)))
            with pytest.raises(UsageError):
                reserved.run()
        with pytest.raises(Cancelled):
            run_planned(runner, scan, plan, cancel=lambda: True)
    assert np.array_equal(result.labels, truth)
    assert steps[-1] == (len(plan.main.windows), len(plan.main.windows))
