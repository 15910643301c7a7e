"""Scores of the unseen scans, by numbers that a person can check."""

import numpy as np
import pytest
from bedside.cli.demo.divide import UnseenScan
from bedside.cli.demo.report import overlays
from bedside.cli.demo.results import MODELS, score_unseen
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import read_labels, write_volume
from bedside.runtime.task_presets import PRESETS

GRID = Grid((4, 4, 4), np.eye(4))
TASK = PRESETS["ct-org"]
LIVER, IGNORE = 1, 6


@pytest.fixture
def scan(tmp_path):
    """A scan whose liver is known in 16 of 64 voxels and unknown in 24; all models mark these 40."""
    truth = np.zeros(GRID.shape, np.uint8)
    truth[0], truth[1], truth[2, :2] = LIVER, IGNORE, IGNORE
    scan = UnseenScan("ct", tmp_path / "unseen" / "ct.nii", tmp_path / "truth.nii.gz", IGNORE)
    scan.image.parent.mkdir()
    write_volume(scan.image, np.arange(64, dtype=np.int16).reshape(GRID.shape), GRID)
    write_volume(scan.label, truth, GRID)
    for model in MODELS:
        path = tmp_path / "predictions" / model / "ct.nii.gz"  # as bedside segment names it
        path.parent.mkdir(parents=True)
        write_volume(path, (truth > 0).astype(np.uint8), GRID)
    return scan


def test_ignored_voxels_are_left_out_of_the_scores(scan, tmp_path):
    assert score_unseen(tmp_path, [scan], TASK.labels) == {model: {"liver": 1.0} for model in MODELS}


def test_without_an_ignore_label_all_voxels_count(scan, tmp_path):
    every_voxel = UnseenScan(scan.name, scan.image, scan.label)
    assert score_unseen(tmp_path, [every_voxel], TASK.labels)["fp32"]["liver"] == pytest.approx(2 * 16 / (16 + 40))


def test_a_truth_stored_along_other_axes_is_scored_and_drawn_in_its_place(scan, tmp_path):
    expected = overlays(tmp_path, [scan], TASK)
    truth = read_labels(scan.label).data
    write_volume(scan.label, truth[::-1, ::-1], GRID.reoriented("LPS"))
    assert score_unseen(tmp_path, [scan], TASK.labels) == {model: {"liver": 1.0} for model in MODELS}
    assert overlays(tmp_path, [scan], TASK) == expected


def test_a_scan_with_ignored_voxels_can_be_drawn(scan, tmp_path):
    (drawn,) = overlays(tmp_path, [scan], TASK)
    assert drawn["name"] == "ct"
    assert drawn["picture"].startswith(b"\x89PNG")
