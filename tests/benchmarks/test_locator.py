"""The logic of the scripts in benchmarks/locator; the measurements themselves are repeated by hand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import Grid, Volume
from nibabel.nifti1 import Nifti1Image

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "locator"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return import_module


def test_a_long_scan_has_the_short_one_in_its_middle_and_its_end_planes_beyond(script):
    data = np.zeros((512, 512, 3), np.int16)
    data[..., 1], data[..., 2] = 500, 1000
    scan = script("long_scan").lengthened(Volume(data, Grid(data.shape, np.diag([1, 1, 2.0, 1]))), 20, 2.0)
    assert scan.data.shape == (512, 512, 20)
    assert scan.grid.spacing == pytest.approx((1, 1, 2))
    assert scan.data[5, 7, 8:11].tolist() == [0, 500, 1000]
    assert np.abs(scan.data[..., :8]).max() <= 30
    assert np.abs(scan.data[..., 11:] - 1000).max() <= 30


def test_a_row_has_windows_seconds_and_their_ratios(script):
    row = script("locator").Measured("ct", (512, 512, 824), (300, 60), (80.0, 20.0), 1e-4).row
    assert row == "| ct, 512×512×824 | 300 | 60 | 5.0 | 80.0 | 20.0 | 4.0 | 0.00010 |"


def test_a_longer_scan_has_its_own_planes_where_they_were_and_no_label_beyond(script):
    image = Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4) * 100, np.diag([1, 1, 5.0, 1]))
    longer, labels = (script("lengthen_data").longer(image, 20.0, label=label) for label in (False, True))
    assert longer.shape == labels.shape == (2, 3, 12)
    assert np.allclose(longer.affine @ [0, 0, 4, 1], image.affine @ [0, 0, 0, 1])
    assert np.array_equal(longer.dataobj[..., 4:8], image.dataobj)
    assert np.abs(longer.dataobj[..., :4] - image.dataobj[..., :1]).max() <= 30
    assert np.array_equal(labels.dataobj[..., 4:8], image.dataobj)
    assert not np.any(labels.dataobj[..., :4])
