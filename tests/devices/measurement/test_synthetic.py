from __future__ import annotations

from pathlib import Path

import numpy as np
from bedside.devices.measurement.synthetic import synthetic_scan, write_synthetic_scan
from bedside.runtime.scans.nifti import read_volume
from bedside.runtime.task import Task
from bedside.runtime.task_presets import PRESETS

COARSE: Task = PRESETS["ct-org"].replaced(spacing=(8.0, 8.0, 10.0))


def test_the_scan_covers_320_by_240_by_200_mm_at_the_tasks_spacing() -> None:
    scan = synthetic_scan(COARSE)
    assert (scan.shape, scan.dtype) == ((40, 30, 20), np.int16)


def test_the_scan_has_air_around_a_body_with_lungs_and_bone() -> None:
    scan = synthetic_scan(COARSE)
    assert abs(scan[0, 0, 0] + 1000) < 100
    assert 0.3 < (scan > -200).mean() < 0.6  # the trunk's ellipse covers π · 0.45 · 0.42 = 59 %, less the lungs
    assert -900 < scan[12, 15, 19] < -700  # right lung, uppermost slice
    assert 300 < scan[20, 6, 10] < 500  # spine


def test_the_same_task_gives_the_same_scan() -> None:
    np.testing.assert_array_equal(synthetic_scan(COARSE), synthetic_scan(COARSE))


def test_mr_has_no_negative_values() -> None:
    scan = synthetic_scan(PRESETS["amos-mr"].replaced(spacing=(8.0, 8.0, 10.0)))
    assert scan.min() == 0
    assert scan[20, 20, 5] > 900


def test_a_very_fine_task_does_not_make_a_huge_scan() -> None:
    assert synthetic_scan(COARSE.replaced(spacing=(0.1, 20.0, 20.0))).shape == (512, 12, 10)


def test_the_file_reads_back_with_spacing_and_ras_axes(tmp_path: Path) -> None:
    words = write_synthetic_scan(COARSE, tmp_path / "scan.nii.gz")
    volume = read_volume(tmp_path / "scan.nii.gz")
    assert (volume.grid.spacing, volume.grid.axes) == ((8.0, 8.0, 10.0), "RAS")
    np.testing.assert_array_equal(volume.data, synthetic_scan(COARSE))
    assert words == "synthetic trunk, 40×30×20 voxels of 8×8×10 mm (no scan was given)"


def test_a_task_of_small_windows_gets_a_file_of_at_most_four_of_them_along_each_axis(tmp_path: Path) -> None:
    small = COARSE.replaced(spacing=(2.0, 2.0, 2.0), patch=(12, 32, 16))
    assert write_synthetic_scan(small, tmp_path / "scan.nii.gz").startswith("synthetic trunk, 48×120×64 voxels")
    assert synthetic_scan(small).shape == (160, 120, 100)
