"""The same network in MONAI and torch eager: its windows, its scan, and bundles that it cannot take."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bedside.cli.benchmark.monai_eager import MonaiEager
from bedside.devices.measurement.chosen_variants import OpenedBundle
from bedside.devices.measurement.report import MeasuredBundle
from bedside.runtime.errors import UsageError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.runtime.task import Intensity

from ...conftest import toy_task

STUDENT = "unet-edge-small"


def opened(student=STUDENT, **task):
    made = toy_task(patch=(32, 32, 32), spacing=(3.0, 3.0, 3.0)).replaced(**task)
    measured = MeasuredBundle("a", "0" * 64, "toy", made.patch, student)
    return OpenedBundle(Path("a.bedside"), made, 0.5, (), measured)


def test_windows_and_scans_of_the_student_are_computed(tmp_path):
    scan = tmp_path / "ct.nii.gz"
    voxels = np.random.default_rng(0).integers(-100, 100, (40, 32, 32), np.int16)
    write_volume(scan, voxels, Grid(voxels.shape, np.diag([3.0, 3.0, 3.0, 1.0])))
    contender = MonaiEager.of(opened(), scan, 1, 0.5, "")
    assert contender.label == "MONAI, torch eager"
    with contender.session() as session:
        cold = session.start(None, None)
        assert cold.total_s == pytest.approx(cold.load_engine_s + cold.first_window_s)
        assert tuple(session.window()().shape) == (1, 3, 32, 32, 32)
        session.open_scans()
        run = session.scan(lambda share: None)
    assert (run.shape, run.windows) == ((40, 32, 32), 2)  # 40 voxels along one axis take two windows
    assert run.spacing == pytest.approx((3, 3, 3))
    assert run.total_s == pytest.approx(sum(run.stages.values()))
    assert "monai" not in contender.engine_version()
    assert "torch" in contender.engine_version()


def test_another_networks_bundle_is_refused():
    with pytest.raises(UsageError, match='"toy" is no student of bedside'):
        MonaiEager.of(opened("toy"), None, 1, 0.5, "")


def test_intensities_that_monai_has_no_transform_for_are_refused():
    percentiles = Intensity(clip=(1.0, 99.0), clip_percentiles=True, scale_to=(0.0, 1.0))
    with pytest.raises(UsageError, match="clipped and scaled"):
        MonaiEager.of(opened(intensity=percentiles), None, 1, 0.5, "")


def test_torch_comes_with_the_start_and_not_before():
    code = "import sys, bedside.cli.benchmark.monai_eager; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_several_bundles_are_told_apart():
    assert MonaiEager.of(opened(), None, 1, 0.5, "liver").label == "liver, MONAI, torch eager"
    assert replace(MonaiEager.of(opened(), None, 1, 0.5, ""), threads=2).threads == 2
