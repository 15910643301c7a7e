"""`bedside evaluate --compare`: two models on the same cases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.nifti import write_volume

from .test_command import GRID, call, cubes, save

CASES = "abcdef"


@pytest.fixture
def two_models(tmp_path: Path) -> Path:
    """Six truths, a model that is one voxel off, and the scores of one that is two voxels off."""
    cubes(tmp_path / "truth", dict.fromkeys(CASES, 3))
    near, far = cubes(tmp_path / "near", dict.fromkeys(CASES, 4)), cubes(tmp_path / "far", dict.fromkeys(CASES, 5))
    for folder in (near, far):
        call(folder, truth=tmp_path / "truth", labels="liver", csv_file=tmp_path / f"{folder.name}.csv")
    return tmp_path


def test_comparison_of_two_models_by_json(two_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    call(two_models / "near", truth=two_models / "truth", labels="liver", other=two_models / "far.csv")
    comparison = json.loads(capsys.readouterr().out)["comparison"]
    liver = comparison["metrics"]["dice"]["organs"]["liver"]
    assert comparison["cases"] == list(CASES)
    # Dice 4/5 and 3/5; six of six better
    assert (liver["pairs"], liver["better"], liver["worse"], liver["favours"]) == (6, 6, 0, "this")
    assert (liver["this"], liver["other"], liver["difference"]) == pytest.approx((0.8, 0.6, 0.2))
    assert liver["p"] == pytest.approx(2 / 2**6)
    assert comparison["metrics"]["hd95_mm"]["mean"]["difference"] == pytest.approx(-1)
    assert comparison["metrics"]["hd95_mm"]["mean"]["p_holm"] is None


def test_comparison_with_the_own_scores_finds_no_difference(
    two_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    call(two_models / "near", truth=two_models / "truth", labels="liver", other=two_models / "near.csv")
    metrics = json.loads(capsys.readouterr().out)["comparison"]["metrics"]
    assert {rows["mean"]["p"] for rows in metrics.values()} == {1.0}


def test_comparison_as_a_table(two_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, other = two_models / "truth", two_models / "far.csv"
    call(two_models / "near", truth=truth, labels="liver", other=other, json=False, quiet=False)
    text = capsys.readouterr().out
    (dice,) = [line for line in text.splitlines() if "liver" in line and "0.6000" in line and "Dice" not in line][:1]
    assert dice.split("│")[1:-1] == [
        " liver           ", " 6 ", " 0.6000 ", " +0.2000 ", " 6/0 ", " 0.0312 ", " 0.0312 ", " this * ",
    ]  # fmt: skip
    assert "Dice: against far.csv" in text


def test_too_few_cases_are_said(two_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (two_models / "near" / "f.nii.gz").unlink()
    (two_models / "truth" / "f.nii.gz").unlink()
    options = {"truth": two_models / "truth", "labels": "liver", "other": two_models / "far.csv", "common": True}
    call(two_models / "near", **options, json=False, quiet=False)
    text = capsys.readouterr().out
    assert "At most 5 cases differ. p < 0.05 takes at least 6" in text
    assert "1 of the cases are in only one of the two" in text


def test_another_tolerance_is_refused_before_anything_is_scored(two_models: Path) -> None:
    options = {"truth": two_models / "truth", "labels": "liver", "other": two_models / "far.csv"}
    with pytest.raises(InputError, match="add --tolerance 1"):
        call(two_models / "near", **options, tolerance=2.0, csv_file=two_models / "own.csv")
    assert not (two_models / "own.csv").exists()


def test_scores_are_shown_though_the_comparison_is_refused(
    two_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"truth": two_models / "truth", "labels": "spleen", "other": two_models / "far.csv"}
    with pytest.raises(InputError, match="spleen only here and liver only there"):
        call(two_models / "near", **options, json=False, quiet=False)
    assert "0.8000" in capsys.readouterr().out
    with pytest.raises(InputError, match="spleen only here and liver only there"):
        call(two_models / "near", **options)
    scores = json.loads(capsys.readouterr().out)
    assert scores["mean"]["dice"] == pytest.approx(0.8)
    assert "comparison" not in scores


def test_other_cases_are_refused_before_anything_is_scored(two_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedside.cli.evaluate.scoring.score_pairs", lambda *_: pytest.fail("scored"))
    (two_models / "truth" / "f.nii.gz").rename(two_models / "truth" / "g.nii.gz")
    (two_models / "near" / "f.nii.gz").rename(two_models / "near" / "g.nii.gz")
    with pytest.raises(InputError, match="got g only here and f only there; --common"):
        call(two_models / "near", truth=two_models / "truth", labels="liver", other=two_models / "far.csv")


def test_a_case_without_any_organ_is_the_same_case_in_both(
    two_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_volume(two_models / "truth" / "f.nii.gz", np.zeros(GRID.shape, np.uint8), GRID)
    options = {"truth": two_models / "truth", "labels": "liver"}
    call(two_models / "far", **options, csv_file=two_models / "far.csv")
    capsys.readouterr()
    call(two_models / "near", **options, other=two_models / "far.csv")
    assert json.loads(capsys.readouterr().out)["comparison"]["cases"] == list(CASES[:-1])


def test_two_models_files_of_one_scan_are_compared(two_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = two_models / "truth" / "a.nii.gz"
    call(save(two_models / "near.nii.gz", 4), truth=truth, csv_file=two_models / "one.csv")
    capsys.readouterr()
    call(save(two_models / "far.nii.gz", 5), truth=truth, other=two_models / "one.csv")
    assert json.loads(capsys.readouterr().out)["comparison"]["cases"] == ["a"]
