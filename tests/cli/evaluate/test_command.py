from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bedside.cli.evaluate.command import Evaluate
from bedside.cli.terminal.console import Console
from bedside.runtime.errors import ExitCode, InputError, ResourceError, UsageError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume

GRID = Grid((12, 12, 12), np.diag([1.0, 1.0, 1.0, 1.0]))


def save(path: Path, start: int) -> Path:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[start : start + 5, 4:9, 4:9] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, labels, GRID)
    return path


def call(prediction: Path, **changes: Any) -> ExitCode:
    console = Console(json=changes.pop("json", True), quiet=changes.pop("quiet", True))
    return Evaluate(prediction=prediction, console=console, **changes)()


def test_json_holds_the_scores_the_tolerance_and_null_for_absent_organs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prediction, truth = save(tmp_path / "p.nii.gz", 4), save(tmp_path / "t.nii.gz", 3)
    call(prediction, truth=truth, labels="liver,spleen")
    result = json.loads(capsys.readouterr().out)
    assert (result["tolerance_mm"], result["ignored_share"]) == (1.0, 0.0)
    assert result["organs"]["liver"]["dice"] == pytest.approx(0.8)  # 4 of 5 planes shared
    assert result["organs"]["liver"]["hd95_mm"] == pytest.approx(1.0)
    assert result["organs"]["liver"]["volume_difference"] == 0  # moved, not grown
    assert result["organs"]["spleen"] == {
        "dice": None, "nsd": None, "hd95_mm": None, "volume_difference": None, "cases": 0, "missed": 0, "spurious": 0,
    }  # fmt: skip
    assert result["mean"]["dice"] == pytest.approx(0.8)


def test_a_name_that_is_no_utf_8_is_scored_written_and_found_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"\xfc.nii.gz")  # as latin-1 systems write it
    save(tmp_path / "p" / name, 4)
    save(tmp_path / "t" / name, 3)
    scores = tmp_path / "scores.csv"
    call(tmp_path / "p", truth=tmp_path / "t", csv_file=scores)
    call(tmp_path / "p", truth=tmp_path / "t", other=scores)
    compared = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [case["name"] for case in compared["cases"]] == [r"\xfc"]
    assert compared["comparison"]["cases"] == [r"\xfc"]


def test_table_prints_the_tolerance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = save(tmp_path / "t.nii.gz", 3)
    call(truth, truth=truth, tolerance=1.5, json=False, quiet=False)
    text = capsys.readouterr().out
    assert "NSD at 1.5 mm tolerance" in text
    assert "1.0000" in text


NAMES = [
    "esophagus", "liver", "inferior_vena_cava", "portal_vein_and_splenic_vein", "adrenal_gland_right",
]  # fmt: skip


def test_tables_fit_80_columns_with_all_figures_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    grid = Grid((60, 60, 60), np.diag([10.0, 10.0, 10.0, 1.0]))
    for file, at in (("t.nii", 2), ("p.nii", 40)):
        labels = np.zeros(grid.shape, np.uint8)
        for label in range(1, len(NAMES) + 1):
            labels[at, 2:52, 8 * label : 8 * label + 7] = label
        write_volume(tmp_path / file, labels, grid)
    options = {"truth": tmp_path / "t.nii", "labels": ",".join(NAMES)}
    call(tmp_path / "p.nii", **options, csv_file=tmp_path / "own.csv")
    capsys.readouterr()
    call(tmp_path / "p.nii", **options, other=tmp_path / "own.csv", json=False, quiet=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert sum("380.00" in line for line in lines) == 2 * len(NAMES) + 2  # 38 planes of 10 mm
    assert not any("…" in line for line in lines)


def cubes(folder: Path, starts: dict[str, int]) -> Path:
    for name, start in starts.items():
        save(folder / f"{name}.nii.gz", start)
    return folder


def test_comparison_is_refused_before_anything_is_scored(tmp_path: Path) -> None:
    here = save(tmp_path / "p.nii.gz", 3)
    (tmp_path / "other.csv").write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match=r'"other.csv": expected a CSV'):
        call(here, truth=here, other=tmp_path / "other.csv", csv_file=tmp_path / "own.csv")
    assert not (tmp_path / "own.csv").exists()


def test_scores_are_shown_though_their_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise ResourceError("the disk is full")

    monkeypatch.setattr("bedside.training.scores.score_table.write_scores", full)
    with pytest.raises(ResourceError, match="the disk is full"):
        call(save(tmp_path / "p.nii.gz", 4), truth=save(tmp_path / "t.nii.gz", 3), csv_file=tmp_path / "s.csv")
    assert json.loads(capsys.readouterr().out)["mean"]["dice"] == pytest.approx(0.8)


def test_predictions_without_truth_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(cubes(tmp_path / "p", {"a": 3, "b": 3}), truth=cubes(tmp_path / "t", {"a": 3}))
    assert "1 of the files in p belong to no case of the truth" in capsys.readouterr().err


def test_a_truth_without_any_organ_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_volume(tmp_path / "t.nii.gz", np.zeros(GRID.shape, np.uint8), GRID)
    code = call(save(tmp_path / "p.nii.gz", 3), truth=tmp_path / "t.nii.gz")
    captured = capsys.readouterr()
    assert "the truth contains no organ" in captured.err
    assert json.loads(captured.out)["mean"]["dice"] is None
    assert code == ExitCode.REVIEW


def test_predictions_that_are_the_truths_own_files_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = cubes(tmp_path / "t", {"a": 3, "b": 3})
    assert call(truth, truth=truth) == ExitCode.OK
    assert "2 of 2 predictions are the truth's own file" in capsys.readouterr().err
    copied = cubes(tmp_path / "p", {"a": 3, "b": 4})
    call(copied, truth=truth)
    assert "1 of 2 predictions are the truth's own file, or have its bytes" in capsys.readouterr().err
    call(save(tmp_path / "c.nii.gz", 4), truth=truth / "a.nii.gz")
    assert "truth's own file" not in capsys.readouterr().err
    for name in ("p/a.nii.gz", "t/a.nii.gz"):  # a case without an organ, in which the model finds none
        write_volume(tmp_path / name, np.zeros(GRID.shape, np.uint8), GRID)
    call(copied, truth=truth)
    assert "truth's own file" not in capsys.readouterr().err


def test_csv_has_one_row_per_case_and_organ_and_one_for_the_mean(tmp_path: Path) -> None:
    truth = save(tmp_path / "t.nii.gz", 3)
    call(truth, truth=truth, labels="liver", csv_file=tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as stream:
        row, mean = csv.DictReader(stream)
    assert (row["organ"], row["dice"], row["tolerance_mm"]) == ("liver", "1", "1.0")
    assert (mean["organ"], mean["dice"]) == ("mean", "1")


@pytest.mark.parametrize("option", ["dataset", "truth"])
def test_dataset_gives_truth_and_names(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "set" / "images" / "a.nii.gz", 3)
    save(tmp_path / "set" / "labels" / "a.nii.gz", 3)
    entry = {"image": "images/a.nii.gz", "label": "labels/a.nii.gz"}
    content = {"labels": {"0": "background", "1": "liver"}, "training": [], "test": [entry]}
    (tmp_path / "set" / "dataset.json").write_text(json.dumps(content))
    save(tmp_path / "predicted" / "a.nii.gz", 3)
    for path in (tmp_path / "set", tmp_path / "set" / "dataset.json"):
        call(tmp_path / "predicted", **{option: path})
        assert json.loads(capsys.readouterr().out)["cases"][0]["scores"]["liver"]["dice"] == 1.0
    with pytest.raises(UsageError, match="-p takes the predictions, -t the truth"):
        call(tmp_path / "set", truth=tmp_path / "predicted")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "-t or with --dataset"),
        ({"truth": Path("t"), "dataset": Path("d")}, "choose one"),
        ({"truth": Path(), "task": "btcv", "labels": "liver"}, "give one"),
        ({"truth": Path(), "tolerance": float("nan")}, "--tolerance"),
        ({"truth": Path()}, "two files or two folders"),
        ({"truth": Path(), "labels": "liver,liver"}, "each name once"),
        ({"truth": Path(), "labels": "liver,,spleen"}, "each name once"),
        ({"truth": Path(), "common": True}, "--common goes with --compare"),
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
