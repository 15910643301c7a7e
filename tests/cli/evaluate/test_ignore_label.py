"""`bedside evaluate` where part of the truth is to be ignored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bedside.cli.main import run
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume

GRID = Grid((12, 12, 12), np.eye(4))
IGNORE = 2


def save(path: Path, *, stray: int) -> Path:
    """Writes a cube of label 1 and, in planes 9 to 11, voxels of another label."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[3:7, 4:8, 4:8] = 1
    labels[9:, :, :] = stray
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, labels, GRID)
    return path


def scores(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    assert run(["evaluate", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["mean"]


@pytest.fixture
def prediction(tmp_path: Path) -> Path:
    """Right but for the planes that the truth ignores, where it finds the organ."""
    return save(tmp_path / "p" / "case.nii.gz", stray=1)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return save(tmp_path / "t" / "case.nii.gz", stray=IGNORE)


PERFECT = {"dice": 1.0, "nsd": 1.0, "hd95_mm": 0.0}


def test_the_option_leaves_a_value_of_the_truth_out(
    prediction: Path, truth: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for p, t in ((prediction, truth), (prediction.parent, truth.parent)):
        assert scores(capsys, "-p", p, "-t", t, "--labels", "liver", "--ignore-label", "2") == PERFECT


def test_people_read_how_much_was_left_out(prediction: Path, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["evaluate", "-p", str(prediction), "-t", str(truth), "--ignore-label", "2"])
    assert "the truth ignores 25 % of the voxels, which scores leave out" in capsys.readouterr().err


def test_the_data_set_knows_its_ignore_label(
    tmp_path: Path, prediction: Path, truth: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = {"image": "t/case.nii.gz", "label": "t/case.nii.gz"}
    labels = {"background": 0, "liver": 1, "ignore": IGNORE}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels, "training": [], "test": [entry]}))
    words = "-p", prediction.parent, "-t", tmp_path
    assert scores(capsys, *words) == PERFECT
    assert scores(capsys, *words, "--ignore-label", "2") == PERFECT
    assert run(["evaluate", *map(str, words), "--ignore-label", "1"]) == 2
    assert "the data set ignores label 2, --ignore-label 1" in capsys.readouterr().err


def test_a_mask_for_each_organ_has_no_ignore_label(
    tmp_path: Path, prediction: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patient = tmp_path / "patients" / "case"
    save(patient / "ct.nii.gz", stray=2)
    save(patient / "segmentations" / "liver.nii.gz", stray=0)
    words = "-p", str(prediction.parent), "-t", str(tmp_path / "patients"), "--labels", "liver"
    assert run(["evaluate", *words, "--ignore-label", "1"]) == 2
    assert "the truth here is one mask per organ" in capsys.readouterr().err


def test_who_does_not_know_the_option_is_told_of_it(
    prediction: Path, truth: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "-p", str(prediction), "-t", str(truth), "--labels", "liver"]) == 3
    assert "label 2 of the truth has no name" in (said := capsys.readouterr().err)
    assert "if its voxels are to be ignored, add --ignore-label 2" in said


def test_several_processes_leave_the_same_voxels_out(
    prediction: Path, truth: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(prediction.with_name("other.nii.gz"), stray=1)
    save(truth.with_name("other.nii.gz"), stray=IGNORE)
    words = "-p", prediction.parent, "-t", truth.parent, "--labels", "liver", "--ignore-label", "2", "--workers", "2"
    assert scores(capsys, *words) == PERFECT
