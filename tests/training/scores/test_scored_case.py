"""One pair of label maps: brought onto one grid and scored, or refused by the case's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.training.scores.pairing import Pair
from bedside.training.scores.scored_case import score_pair

GRID = Grid((12, 10, 8), np.diag([2.0, 2.0, 2.0, 1.0]))
MIRRORED = Grid(GRID.shape, np.array([[-2.0, 0, 0, 22], [0, 2.0, 0, 0], [0, 0, 2.0, 0], [0, 0, 0, 1.0]]))


def cube(start: int, label: int = 1) -> np.ndarray:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[start : start + 4, 3:7, 2:6] = label
    return labels


@pytest.fixture
def pair(tmp_path: Path):
    def write(prediction: np.ndarray, truth: np.ndarray, grid: Grid = GRID, ignore: int | None = None) -> Pair:
        write_volume(tmp_path / "p.nii", prediction, grid)
        write_volume(tmp_path / "t.nii", truth, GRID)
        return Pair("case", tmp_path / "p.nii", tmp_path / "t.nii", ignore)

    return write


def test_a_prediction_along_other_axes_is_turned_and_that_is_said(pair) -> None:
    scored = score_pair(pair(cube(3)[::-1], cube(3), MIRRORED), None, 1.0)
    assert scored.reoriented
    assert scored.scores.dice[1] == 1


def test_without_names_there_are_as_many_classes_as_the_highest_label_needs(pair) -> None:
    assert len(score_pair(pair(cube(3, 5), cube(3, 2)), None, 1.0).scores.dice) == 6


def test_ignored_voxels_are_a_share_and_their_label_needs_no_name(pair) -> None:
    truth = cube(3)
    truth[0] = 9
    scored = score_pair(pair(cube(3), truth, ignore=9), ("background", "liver"), 1.0)
    assert scored.ignored == pytest.approx(1 / 12)
    assert scored.scores.dice[1] == 1


@pytest.mark.parametrize(
    ("prediction", "truth", "advice"),
    [(cube(3), cube(3, 7), "; if its voxels are to be ignored, add --ignore-label 7"), (cube(3, 7), cube(3), "map")],
)
def test_a_label_without_a_name_may_be_ignored_in_the_truth_alone(pair, prediction, truth, advice) -> None:
    with pytest.raises(InputError, match=r'^case "case": label 7 of the .* names for 0…1\. ') as refused:
        score_pair(pair(prediction, truth), ("background", "liver"), 1.0)
    assert str(refused.value).endswith(advice)


def test_a_mirrored_prediction_in_another_place_is_not_turned_into_place(pair) -> None:
    moved = Grid(GRID.shape, np.array([[-2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 2.0, 0], [0, 0, 0, 1.0]]))
    with pytest.raises(
        InputError, match=r"are 22 mm apart at a corner \(.*\); write the prediction on the scan's own grid"
    ):
        score_pair(pair(cube(3), cube(3), moved), None, 1.0)


def test_a_file_that_cannot_be_read_is_named_with_its_role(pair) -> None:
    given = pair(cube(3), cube(3))
    given.truth.unlink()
    with pytest.raises(InputError, match=r'^case "case", truth: "t\.nii": file not found'):
        score_pair(given, None, 1.0)


def test_a_prediction_whose_header_is_rounded_is_scored(pair) -> None:
    rounded = Grid(GRID.shape, np.diag([2.01, 2.0, 2.0, 1.0]))  # 0.11 mm at the far end, of 0.2 allowed
    assert score_pair(pair(cube(3), cube(3), rounded), None, 1.0).scores.dice[1] == 1
