from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.training.data.dataset import Case
from bedside.training.scores.evaluation import evaluate_pairs
from bedside.training.scores.pairing import Pair, pairs_of_cases, pairs_of_folders, unpaired_predictions
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

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
    assert np.isnan(second.volume)


def blocks(path: Path, *sizes: int, grid: Grid = GRID) -> Path:
    """Writes a block of size × 2 × 2 voxels per label 1, 2, …, each on planes of its own; size 0 leaves a label out."""
    labels = np.zeros(grid.shape, np.uint8)
    for label, size in enumerate(sizes, start=1):
        labels[:size, 3 * label - 2 : 3 * label, 4:6] = label
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, labels, grid)
    return path


def test_means_over_cases_and_organs_are_those_computed_by_hand(tmp_path: Path) -> None:
    pairs = [
        # liver 2·3/(3+6) = 2/3, spleen 1, no aorta but one predicted
        Pair("one", blocks(tmp_path / "p1.nii", 3, 4, 2), blocks(tmp_path / "t1.nii", 6, 4, 0)),
        # liver 1, spleen missed, aorta 2·2/(2+4) = 2/3
        Pair("two", blocks(tmp_path / "p2.nii", 5, 0, 2), blocks(tmp_path / "t2.nii", 5, 3, 4)),
    ]
    evaluation = evaluate_pairs(pairs, ("background", "liver", "spleen", "aorta"), 1.0)
    liver, spleen, aorta = evaluation.organs
    assert (liver.cases, liver.missed, liver.spurious) == (2, 0, 0)
    assert (spleen.cases, spleen.missed, spleen.spurious) == (2, 1, 0)
    assert (aorta.cases, aorta.missed, aorta.spurious) == (1, 0, 1)
    assert (liver.dice, spleen.dice, aorta.dice) == pytest.approx((5 / 6, 1 / 2, 2 / 3))
    # Volumes: liver half of it and right, spleen right and missed, aorta half of it in the one case that has it
    assert (liver.volume, spleen.volume, aorta.volume) == pytest.approx((-1 / 4, -1 / 2, -1 / 2))
    # Blocks end 3 voxels of 2 mm apart in case one, 2 in case two; 95 % of the surface reach into the last voxel.
    assert (liver.hd95, spleen.hd95, aorta.hd95) == pytest.approx((6 / 2, 0, 4), abs=1e-5)
    assert evaluation.mean.dice == pytest.approx((5 / 6 + 1 / 2 + 2 / 3) / 3)
    assert evaluation.mean.hd95 == pytest.approx((3 + 0 + 4) / 3)
    one, two = (evaluation.case_mean(scores) for _, scores in evaluation.cases)
    assert (one.dice, two.dice) == pytest.approx(((2 / 3 + 1) / 2, (1 + 0 + 2 / 3) / 3))
    assert two.hd95 == pytest.approx((0 + 4) / 2)  # the missed spleen has no distance


def test_a_named_organ_that_is_nowhere_is_listed_and_weighs_nothing_in_the_mean(tmp_path: Path) -> None:
    pair = Pair("one", blocks(tmp_path / "p.nii", 3), blocks(tmp_path / "t.nii", 6))
    evaluation = evaluate_pairs([pair], ("background", "liver", "spleen"), 1.0)
    assert [organ.cases for organ in evaluation.organs] == [1, 0]
    assert evaluation.mean.dice == pytest.approx(2 / 3)


def test_without_names_only_labels_that_occur_are_listed(tmp_path: Path) -> None:
    pairs = [
        Pair("one", save(tmp_path / "p1.nii", 4, label=2), save(tmp_path / "t1.nii", 4, label=2)),
        Pair("two", save(tmp_path / "p2.nii", 4, label=7), save(tmp_path / "t2.nii", 4, label=2)),
    ]
    assert [organ.name for organ in evaluate_pairs(pairs, None, 1.0).organs] == ["label 2", "label 7"]


def test_a_prediction_stored_along_other_axes_is_compared_in_place(tmp_path: Path) -> None:
    truth = blocks(tmp_path / "t.nii.gz", 6, 4, 2)
    image = nib.load(truth)
    turned = image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt("PIL")))
    nib.save(turned, tmp_path / "p.nii.gz")
    evaluation = evaluate_pairs([Pair("case", tmp_path / "p.nii.gz", truth)], None, 1.0)
    assert evaluation.reoriented == ("case",)
    assert [(organ.dice, organ.nsd, organ.hd95) for organ in evaluation.organs] == [(1, 1, 0)] * 3


def test_a_sheared_grid_is_measured_along_its_own_axes(tmp_path: Path) -> None:
    """Sheets two slices apart: a slice is 4 mm up and 0.5 mm to the front, so 8 mm lie between them, not 8.06."""
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    affine[1, 2] = 0.5
    files = []
    for name, at in (("t.nii", 4), ("p.nii", 6)):
        labels = np.zeros((40, 40, 10), np.uint8)
        labels[..., at] = 1
        write_volume(tmp_path / name, labels, Grid(labels.shape, affine))
        files.append(tmp_path / name)
    organ = evaluate_pairs([Pair("case", files[1], files[0])], None, 1.0).organs[0]
    assert organ.hd95 == pytest.approx(8)
    assert organ.dice == 0


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((12, 12, 12), 0.5, np.float32), 'case "case", prediction: "p.nii": expected integer labels'),
        (np.zeros((12, 12, 12, 3), np.float32), "got 3 volumes .* save their argmax"),
    ],
)
def test_probabilities_are_refused_as_what_they_are(tmp_path: Path, values: np.ndarray, reason: str) -> None:
    nib.save(nib.Nifti1Image(values, GRID.affine), tmp_path / "p.nii")
    pair = Pair("case", tmp_path / "p.nii", save(tmp_path / "t.nii", 4))
    with pytest.raises(InputError, match=reason):
        evaluate_pairs([pair], None, 1.0)


def test_whole_numbers_stored_as_floats_are_labels(tmp_path: Path) -> None:
    truth = save(tmp_path / "t.nii", 4)
    nib.save(nib.Nifti1Image(nib.load(truth).get_fdata().astype(np.float64), GRID.affine), tmp_path / "p.nii")
    assert evaluate_pairs([Pair("case", tmp_path / "p.nii", truth)], None, 1.0).organs[0].dice == 1


def test_folders_are_paired_by_name_whatever_the_ending(tmp_path: Path) -> None:
    save(tmp_path / "truth" / "a.nii.gz", 4)
    save(tmp_path / "predicted" / "a.nii", 4)
    (pair,) = pairs_of_folders(tmp_path / "predicted", tmp_path / "truth")
    assert (pair.name, pair.prediction.name, pair.truth.name) == ("a", "a.nii", "a.nii.gz")


def test_a_truth_without_prediction_is_named(tmp_path: Path) -> None:
    save(tmp_path / "truth" / "a.nii.gz", 4)
    (tmp_path / "predicted").mkdir()
    with pytest.raises(InputError, match="1 of 1 have none: a; the folder has none"):
        pairs_of_folders(tmp_path / "predicted", tmp_path / "truth")
    with pytest.raises(InputError, match="found none"):
        pairs_of_folders(tmp_path / "truth", tmp_path / "predicted")


def test_files_named_otherwise_are_shown(tmp_path: Path) -> None:
    save(tmp_path / "truth" / "a.nii.gz", 4)
    save(tmp_path / "predicted" / "a_seg.nii.gz", 4)
    with pytest.raises(InputError, match=r"the files there are called a_seg\.nii\.gz"):
        pairs_of_folders(tmp_path / "predicted", tmp_path / "truth")


def test_predictions_without_truth_are_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "predicted" / f"{name}.nii.gz", 4)
    save(tmp_path / "truth" / "a.nii.gz", 4)
    pairs = pairs_of_folders(tmp_path / "predicted", tmp_path / "truth")
    assert unpaired_predictions(tmp_path / "predicted", pairs) == ["b.nii.gz"]


def test_cases_without_label_map_cannot_be_scored(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one case with a label map"):
        pairs_of_cases(tmp_path, [Case("a", tmp_path / "a.nii.gz")])


@pytest.mark.parametrize(
    ("grid", "reason"),
    [
        (Grid((12, 12, 13), GRID.affine), "on the truth's grid"),
        (Grid((12, 12, 12), np.diag([-2.0, 2.0, 2.0, 1.0])), "22 mm apart"),  # on the left of the truth: 11 · 2 mm
    ],
)
def test_a_prediction_on_another_grid_is_refused(tmp_path: Path, grid: Grid, reason: str) -> None:
    pair = Pair("case", save(tmp_path / "p.nii.gz", 4, grid=grid), save(tmp_path / "t.nii.gz", 4))
    with pytest.raises(InputError, match=reason):
        evaluate_pairs([pair], None, 1.0)


def test_a_label_without_a_name_is_refused(tmp_path: Path) -> None:
    pair = Pair("case", save(tmp_path / "p.nii.gz", 4, label=3), save(tmp_path / "t.nii.gz", 4))
    with pytest.raises(InputError, match="label 3 of the prediction has no name"):
        evaluate_pairs([pair], ("background", "liver"), 1.0)
