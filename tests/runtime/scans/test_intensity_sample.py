"""The sample of a scan's values is small, evenly spread, and the same however the scan is read."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.runtime import Grid, Volume, write_volume
from bedside.runtime.scans.intensity_sample import MOST_VALUES, IntensitySample
from bedside.runtime.scans.open_scan import open_scan
from bedside.runtime.scans.scan import Scan


def numbered(shape):
    return np.arange(np.prod(shape), dtype=np.int32).reshape(shape)


def test_a_small_scan_is_sampled_whole():
    data = numbered((5, 4, 3))
    assert sorted(IntensitySample.of(data).values.tolist()) == data.ravel().tolist()


@pytest.mark.parametrize("shape", [(300, 200, 150), (1, 4000, 900), (700, 700, 2), (1, 1, 210_000)])
def test_a_large_scan_gives_at_most_the_limit_and_a_third_of_it_at_least(shape):
    size = IntensitySample.of(np.zeros(shape, np.uint8)).values.size
    assert MOST_VALUES / 3 < size <= MOST_VALUES


def test_shares_of_the_scan_are_those_of_the_sample():
    data = np.zeros((120, 110, 100), np.int16)
    data[:30] = 7
    assert np.mean(IntensitySample.of(data).values == 7) == pytest.approx(0.25, abs=0.01)


def test_planes_of_a_file_give_the_sample_of_the_scan_in_memory(tmp_path):
    data = np.random.default_rng(0).integers(-1000, 1000, (90, 80, 70)).astype(np.int16)
    write_volume(tmp_path / "ct.nii.gz", data, Grid(data.shape, np.eye(4)))
    scan = open_scan(tmp_path / "ct.nii.gz")
    for _ in scan.planes():
        pass
    assert (scan.sample.values == IntensitySample.of(scan.load().data).values).all()


def test_a_second_pass_begins_a_new_sample():
    scan = Scan(Volume(numbered((5, 4, 3)), Grid((5, 4, 3), np.eye(4))))
    for _ in range(2):
        for _ in scan.planes():
            pass
    assert scan.sample.values.size == 60
