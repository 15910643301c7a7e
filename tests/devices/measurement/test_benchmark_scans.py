"""Each bundle of a benchmark has its scan, described without the name of a file."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from bedside.devices.measurement.benchmark_scans import BenchmarkScans, benchmark_scans
from bedside.devices.measurement.chosen_variants import open_bundles
from bedside.runtime.errors import InputError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import read_volume, write_volume


@pytest.fixture
def bundles(bundle_path):
    return open_bundles([bundle_path, bundle_path], ["onnxruntime"], None, None)


def test_the_callers_scan_is_that_of_every_bundle(bundles, tmp_path):
    scan = tmp_path / "doe_jane.nii.gz"
    write_volume(scan, np.arange(-500, 500, dtype=np.int16).reshape(10, 10, 10), Grid((10, 10, 10), np.eye(4)))
    scans = benchmark_scans(scan, bundles, tmp_path, end_to_end=True)
    sha256 = hashlib.sha256(scan.read_bytes()).hexdigest()
    assert scans == BenchmarkScans("the scan that was given", (scan, scan), sha256)


def test_without_a_scan_each_bundle_gets_a_synthetic_one_that_is_described_once(bundles, tmp_path):
    scans = benchmark_scans(None, bundles, tmp_path, end_to_end=True)
    assert scans.described.count("synthetic trunk") == 1
    assert scans.sha256 == ""
    first, second = (read_volume(path).data for path in scans.paths)
    assert scans.paths[0] != scans.paths[1]
    assert np.array_equal(first, second)


def test_without_an_end_to_end_run_there_is_none(bundles, tmp_path):
    scans = benchmark_scans(tmp_path / "absent.nii", bundles, tmp_path, end_to_end=False)
    assert scans == BenchmarkScans("none (end-to-end time was not asked for)", (None, None))


def test_a_refused_scan_is_refused_in_words_without_options_of_another_command(bundles, tmp_path):
    scan = tmp_path / "constant.nii.gz"
    write_volume(scan, np.zeros((8, 8, 8), np.int16), Grid((8, 8, 8), np.eye(4)))
    with pytest.raises(InputError, match="the same value 0 in every voxel") as caught:
        benchmark_scans(scan, bundles, tmp_path, end_to_end=True)
    assert "--" not in str(caught.value)
