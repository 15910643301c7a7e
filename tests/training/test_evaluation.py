from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.training.dataset import Case
from bedside.training.evaluation import evaluate_pairs
from bedside.training.pairing import Pair, pairs_of_cases, pairs_of_folders

GRID = Grid((12, 12, 12), np.diag([2.0, 2.0, 2.0, 1.0]))


def save(path: Path, start: int, label: int = 1, grid: Grid = GRID) -> Path:
    """Writes a cube of 4 voxels a side from x = start."""
    labels = np.zeros(grid.shape, np.uint8)
    labels[start : start + 4, 4:8, 4:8] = label
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, labels, grid)
    return path


def test_a_pair_of_files_scores_by_hand_computed_dice_and_distance(tmp_path: Path) -> None:
    pair = Pair("case", save(tmp_path / "p.nii.gz", 5), save(tmp_path / "t.nii.gz", 4))
    organ = evaluate_pairs([pair], ("background", "liver"), 2.0).organs[0]
    # 3 of 4 planes shared; one voxel of 2 mm apart
    assert (organ.name, organ.dice, organ.nsd, organ.hd95) == ("liver", 0.75, 1.0, 2.0)


def test_means_leave_out_cases_without_the_organ_and_count_missed_and_spurious(tmp_path: Path) -> None:
    pairs = [
        Pair("found", save(tmp_path / "p1.nii.gz", 4), save(tmp_path / "t1.nii.gz", 4)),
        Pair("missed", save(tmp_path / "p2.nii.gz", 4, label=2), save(tmp_path / "t2.nii.gz", 4)),
    ]
    first, second = evaluate_pairs(pairs, None, 1.0).organs
    assert (first.name, first.cases, first.missed, first.dice, first.hd95) == ("label 1", 2, 1, 0.5, 0.0)
    assert (second.cases, second.spurious) == (0, 1)
    assert np.isnan(second.dice)


def test_folders_are_paired_by_name_whatever_the_ending(tmp_path: Path) -> None:
    save(tmp_path / "truth" / "a.nii.gz", 4)
    save(tmp_path / "predicted" / "a.nii", 4)
    (pair,) = pairs_of_folders(tmp_path / "predicted", tmp_path / "truth")
    assert (pair.name, pair.prediction.name, pair.truth.name) == ("a", "a.nii", "a.nii.gz")


def test_a_truth_without_prediction_is_named(tmp_path: Path) -> None:
    save(tmp_path / "truth" / "a.nii.gz", 4)
    (tmp_path / "predicted").mkdir()
    with pytest.raises(InputError, match="1 of 1 have none or two: a"):
        pairs_of_folders(tmp_path / "predicted", tmp_path / "truth")
    with pytest.raises(InputError, match="found none"):
        pairs_of_folders(tmp_path / "truth", tmp_path / "predicted")


def test_cases_without_label_map_cannot_be_scored(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one case with a label map"):
        pairs_of_cases(tmp_path, [Case("a", tmp_path / "a.nii.gz")])


@pytest.mark.parametrize(
    ("grid", "reason"),
    [
        (Grid((12, 12, 13), GRID.affine), "on the truth's grid"),
        (Grid((12, 12, 12), np.diag([-2.0, 2.0, 2.0, 1.0])), "44 mm apart"),  # mirrored: 2 · 11 · 2 mm at the far end
    ],
)
def test_a_prediction_on_another_grid_is_refused(tmp_path: Path, grid: Grid, reason: str) -> None:
    pair = Pair("case", save(tmp_path / "p.nii.gz", 4, grid=grid), save(tmp_path / "t.nii.gz", 4))
    with pytest.raises(InputError, match=reason):
        evaluate_pairs([pair], None, 1.0)


def test_a_label_without_a_name_is_refused(tmp_path: Path) -> None:
    pair = Pair("case", save(tmp_path / "p.nii.gz", 4, label=3), save(tmp_path / "t.nii.gz", 4))
    with pytest.raises(InputError, match="label 3 has no name"):
        evaluate_pairs([pair], ("background", "liver"), 1.0)
