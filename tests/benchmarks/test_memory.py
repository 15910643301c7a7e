"""The logic of the scripts in benchmarks/memory; the measurements themselves are repeated by hand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import read_volume
from bedside.runtime.errors import ResourceError

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "memory"
MIB = 2**20


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return import_module


def measured(script, **changes):
    figures = {
        "engine": "openvino fp32", "plan": "streamed, zyx, float32", "predicted": 110_000_000,
        "above_engine": 100_000_000, "process": 300_000_000, "run": 250_000_000, "limit": None,
        "voxels": 1_000_000, "classes": 14, "windows": 8, "seconds": 2.0,
    }  # fmt: skip
    return script("measure_scan").Measured(**figures | changes)


def test_the_least_limit_is_the_first_whole_step_that_is_accepted(script):
    def plan_under(limit):
        if limit < 700.5 * MIB:
            raise ResourceError("too little")

    assert script("measure_scan").least_limit(plan_under) == 701 * MIB


def test_the_table_shows_prediction_over_measurement_and_monais_accumulator(script):
    text = script("memory").table([(215, measured(script))])
    assert "| 215 | none | streamed, zyx, float32 | 110 | 100 | 1.100 | 300 | 250 | 8 | 2.0 | 56 |" in text


def test_what_held_more_than_its_limit_is_named(script):
    within, above = (measured(script, run=held, limit=200_000_000) for held in (199_000_000, 201_000_000))
    assert script("memory").broken_limits([(1, within), (2, above), (3, measured(script))]) == [
        "2 planes: held 201.0 MB under a limit of 200.0 MB"
    ]


def test_the_synthetic_scan_is_mostly_body(script, tmp_path):
    script("synthetic_ct").write_scan(tmp_path / "scan.nii.gz", 2, (1.5, 1.5, 1.5))
    scan = read_volume(tmp_path / "scan.nii.gz")
    assert scan.grid.shape == (512, 512, 2)
    assert scan.grid.spacing == (1.5, 1.5, 1.5)
    assert np.mean(scan.data > -500) == pytest.approx(np.pi / 4 * 0.95 * 0.9, abs=0.01)  # an ellipse in a square
