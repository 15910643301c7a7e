"""What the tests of several commands use: a scan of a fat cube in air, CPUs with long names."""

import json

import nibabel as nib
import numpy as np
import pytest
from bedside.cli.main import run
from bedside.runtime import load_task

from .exported import exported, student_folder  # noqa: F401 - fixtures
from .printed import cpu  # noqa: F401 - a fixture


@pytest.fixture
def scan(tmp_path):
    hu = np.full((20, 20, 20), -1000, np.int16)
    hu[5:15, 5:15, 5:15] = 0
    nib.save(nib.Nifti1Image(hu, np.diag([3, 3, 3, 1])), tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Calls train-teacher with a trainer that only notes what it is asked for."""
    from bedside.training.loop.fit import FitResult

    calls = []

    def train_teacher(dataset, task, out, **given):
        calls.append(given | {"task": task, "dataset": dataset})
        return FitResult(0.5, 1.25)

    monkeypatch.setattr("bedside.teacher.train.train_teacher", train_teacher)
    (tmp_path / "case.nii.gz").touch()
    entry = [{"image": "case.nii.gz", "label": "case.nii.gz"}]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": load_task("btcv").labels, "training": entry}))

    def ask(*words):
        code = run(["train-teacher", str(tmp_path), "-o", str(tmp_path / "run"), *words])
        return code, (calls[-1] if calls else None)

    return ask
