from __future__ import annotations

import codecs
import csv
import math
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.training.scores.evaluation import Evaluation
from bedside.training.scores.metrics import CaseScores
from bedside.training.scores.score_table import Score, read_scores, table_of, write_scores

THIRD = 1 / 3


def evaluation(tolerance: float = 1.0) -> Evaluation:
    """A liver found, a spleen missed, no aorta."""
    scores = CaseScores(
        dice=np.array([0.99, THIRD, 0.0, np.nan]),
        nsd=np.array([np.nan, 0.5, 0.0, np.nan]),
        hd95=np.array([np.nan, 2.5, np.inf, np.nan]),
        tolerance_mm=tolerance,
        truth_voxels=np.array([900, 60, 40, 0]),
        predicted_voxels=np.array([950, 30, 0, 20]),
    )
    return Evaluation(("background", "liver", "spleen", "aorta"), (1, 2, 3), (("a", scores),), tolerance)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_scores(tmp_path / "scores.csv", evaluation())
    return tmp_path / "scores.csv"


def test_a_row_holds_six_digits_inf_where_missed_and_nan_where_absent(file: Path) -> None:
    liver, spleen, aorta, _ = rows(file)
    assert (liver["dice"], liver["hd95_mm"], liver["truth_voxels"], liver["predicted_voxels"]) == (
        "0.333333",
        "2.5",
        "60",
        "30",
    )
    assert (spleen["dice"], spleen["nsd"], spleen["hd95_mm"]) == ("0", "0", "inf")
    assert (aorta["dice"], aorta["nsd"], aorta["hd95_mm"], aorta["predicted_voxels"]) == ("nan", "nan", "nan", "20")


def test_the_mean_of_a_case_is_over_the_organs_it_has_and_its_label_is_empty(file: Path) -> None:
    mean = rows(file)[-1]
    assert (mean["case"], mean["label"], mean["organ"], mean["tolerance_mm"]) == ("a", "", "mean", "1.0")
    assert float(mean["dice"]) == pytest.approx(THIRD / 2, abs=1e-6)  # the missed spleen counts 0
    assert float(mean["hd95_mm"]) == 2.5  # and has no distance


def test_what_is_read_is_what_was_scored_up_to_six_digits(file: Path) -> None:
    table = read_scores(file)
    assert table == table_of(evaluation())
    assert table.scores == {("a", "liver"): Score(0.333333, 0.5, 2.5, 60), ("a", "spleen"): Score(0, 0, math.inf, 40)}
    assert (table.cases, table.organs, table.tolerance_mm) == (("a",), ("liver", "spleen"), 1.0)


def test_a_file_without_sizes_and_means_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text(
        "case,label,organ,dice,nsd,hd95_mm,tolerance_mm\na,1,liver,0.5,0.25,3,1.0\na,2,spleen,nan,nan,nan,1.0\n"
    )
    assert read_scores(tmp_path / "old.csv").scores == {("a", "liver"): Score(0.5, 0.25, 3.0, 0)}


HEAD = "case,label,organ,dice,nsd,hd95_mm,tolerance_mm\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("case,dice\na,1\n", "without the columns label, organ, nsd, hd95_mm, tolerance_mm"),
        (HEAD, "no case with a score"),
        (HEAD + "a,1,liver,1.5,0.25,3,1.0\n", "row 2 has Dice 1.5"),
        (HEAD + "a,1,liver,0.5,nan,3,1.0\n", "row 2 has Dice 0.5, NSD nan"),
        (HEAD + "a,1,liver,half,0.25,3,1.0\n", "half"),
        (HEAD + "a,1,liver,0.5\n", "expected a CSV that bedside evaluate --csv wrote"),
        (HEAD + "a,1,liver,0.5,0.25,3,1.0\nb,1,liver,0.5,0.25,3,2.0\n", "2 tolerances"),
        (HEAD + "a,1,liver,0.5,0.25,3,1.0\na,1,liver,0.6,0.25,3,1.0\n", "two scores of one organ"),
    ],
)
def test_a_file_that_holds_no_scores_is_refused_with_its_fault(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(InputError, match=reason):
        read_scores(tmp_path / "other.csv")


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv"):
        read_scores(tmp_path / "none.csv")
    (tmp_path / "labels.nii.gz").write_bytes(b"\x1f\x8b\xff\x00")
    with pytest.raises(InputError, match="expected a CSV"):
        read_scores(tmp_path / "labels.nii.gz")


def test_a_byte_order_mark_is_read_past(file: Path) -> None:
    table = read_scores(file)
    file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())
    assert read_scores(file) == table


def test_a_file_in_utf_16_is_refused_as_such(file: Path) -> None:
    file.write_text(file.read_text(), encoding="utf-16")
    with pytest.raises(InputError, match=r'"scores\.csv": expected a CSV .* expected UTF-8 text, got UTF-16; save it'):
        read_scores(file)
