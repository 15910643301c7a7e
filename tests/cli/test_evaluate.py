from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bedside.cli.evaluate import CaseList, command
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume

GRID = Grid((12, 12, 12), np.diag([1.0, 1.0, 1.0, 1.0]))


def save(path: Path, start: int) -> Path:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[start : start + 5, 4:9, 4:9] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, labels, GRID)
    return path


def call(prediction: Path, **changes: Any) -> None:
    defaults: dict[str, Any] = {
        "truth": None, "dataset": None, "cases": CaseList.TEST, "tolerance": 1.0, "task": None, "labels": None,
        "csv_file": None, "other": None, "common": False, "json": True, "quiet": True,
    }  # fmt: skip
    command(prediction, **{**defaults, **changes})


def test_json_holds_the_scores_the_tolerance_and_null_for_absent_organs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prediction, truth = save(tmp_path / "p.nii.gz", 4), save(tmp_path / "t.nii.gz", 3)
    call(prediction, truth=truth, labels="liver,spleen")
    result = json.loads(capsys.readouterr().out)
    assert result["tolerance_mm"] == 1.0
    assert result["organs"]["liver"]["dice"] == pytest.approx(0.8)  # 4 of 5 planes shared
    assert result["organs"]["liver"]["hd95_mm"] == pytest.approx(1.0)
    assert result["organs"]["spleen"] == {
        "dice": None, "nsd": None, "hd95_mm": None, "cases": 0, "missed": 0, "spurious": 0,
    }  # fmt: skip
    assert result["mean"]["dice"] == pytest.approx(0.8)


def test_table_prints_the_tolerance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = save(tmp_path / "t.nii.gz", 3)
    call(truth, truth=truth, tolerance=1.5, json=False, quiet=False)
    text = capsys.readouterr().out
    assert "NSD at 1.5 mm tolerance" in text
    assert "1.0000" in text


def test_csv_has_one_row_per_case_and_organ(tmp_path: Path) -> None:
    truth = save(tmp_path / "t.nii.gz", 3)
    call(truth, truth=truth, labels="liver", csv_file=tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["organ"], row["dice"], row["tolerance_mm"]) == ("liver", "1", "1.0")


def test_dataset_gives_truth_and_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "set" / "images" / "a.nii.gz", 3)
    save(tmp_path / "set" / "labels" / "a.nii.gz", 3)
    entry = {"image": "images/a.nii.gz", "label": "labels/a.nii.gz"}
    content = {"labels": {"0": "background", "1": "liver"}, "training": [], "test": [entry]}
    (tmp_path / "set" / "dataset.json").write_text(json.dumps(content))
    save(tmp_path / "predicted" / "a.nii.gz", 3)
    call(tmp_path / "predicted", dataset=tmp_path / "set")
    assert json.loads(capsys.readouterr().out)["cases"][0]["scores"]["liver"]["dice"] == 1.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "-t or with --dataset"),
        ({"truth": Path("t"), "dataset": Path("d")}, "choose one"),
        ({"truth": Path(), "task": "btcv", "labels": "liver"}, "give one"),
        ({"truth": Path(), "tolerance": float("nan")}, "--tolerance"),
        ({"truth": Path()}, "two files or two folders"),
    ],
)
def test_calls_that_do_not_say_what_to_compare_are_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        call(save(tmp_path / "p.nii.gz", 3), **changes)


def test_missing_files_are_refused(tmp_path: Path) -> None:
    here = save(tmp_path / "p.nii.gz", 3)
    with pytest.raises(InputError, match=r"prediction .* does not exist"):
        call(tmp_path / "none.nii.gz", truth=here)
    with pytest.raises(InputError, match=r"truth .* does not exist"):
        call(here, truth=tmp_path / "none.nii.gz")
