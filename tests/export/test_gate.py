"""Who may stand in for fp32: per class, and only if it labels like the student; ignored voxels are left out."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.export.gate import gate_dice, judge
from bedside.runtime import Bundle, Grid, write_volume
from bedside.runtime.bundles.manifest import Parity, Precision, Variant

FAT_HU, BONE_HU = 0, 1000


@pytest.mark.parametrize(("ignore", "dice"), [(9, 1.0), (None, pytest.approx(2 * 4 / (4 + 8)))])
def test_ignored_voxels_are_not_compared(tmp_path, bundle_path, ignore, dice):
    """Eight planes of fat beside air; the truth marks four of them and ignores the other four."""
    image, labels = np.full((16, 12, 8), -1000, np.int16), np.zeros((16, 12, 8), np.uint8)
    image[:8], image[12:], labels[:4], labels[4:8], labels[12:] = FAT_HU, BONE_HU, 1, 9, 2
    grid = Grid(image.shape, np.diag([3.0, 3.0, 3.0, 1.0]))
    write_volume(tmp_path / "image.nii", image, grid)
    write_volume(tmp_path / "labels.nii", labels, grid)
    with Bundle.open(bundle_path) as bundle:
        variant = bundle.manifest.variants[0]
    case = tmp_path / "image.nii", tmp_path / "labels.nii"
    assert gate_dice(bundle_path, variant, [case], ignore=ignore)["fat"] == dice


def variant(precision: Precision, agreement: float | None = 1.0, **dice: float) -> Variant:
    parity = None
    if agreement is not None:
        parity = Parity(max_abs_probability=0, mean_abs_probability=0, label_agreement=agreement, patches=1)
    return Variant(precision=precision, engine="openvino", file="model", parity=parity, dice=dice)


def verdict(candidate: Variant, **fp32_dice: float) -> tuple[bool | None, str]:
    _, result = judge([variant("fp32", **fp32_dice), candidate])
    return result.passed, result.gate_reason


def test_a_small_loss_in_every_class_passes():
    assert verdict(variant("int8", 0.991, liver=0.941, spleen=0.891), liver=0.95, spleen=0.90) == (True, "")


def test_one_lost_organ_fails_however_much_better_the_others_are():
    passed, reason = verdict(variant("int8", liver=0.99, pancreas=0.78), liver=0.80, pancreas=0.80)
    assert passed is False
    assert reason == "pancreas: Dice 0.7800, 0.0200 below fp32 (at most 0.01)"


def test_too_few_of_the_students_labels_fail_beside_unchanged_dice():
    passed, reason = verdict(variant("bf16", 0.9899, liver=0.9), liver=0.9)
    assert passed is False
    assert reason == "only 98.99 % of the voxels have the student's label (at least 99 %)"


def test_every_reason_is_told():
    _, reason = verdict(variant("int8", 0.5, liver=0.1, spleen=0.2), liver=0.9, spleen=0.9)
    assert reason.count(";") == 2
    assert all(word in reason for word in ("liver", "spleen", "50.00 %"))


@pytest.mark.parametrize(("agreement", "passed"), [(0.996, True), (0.994, False)])
def test_without_gate_cases_more_of_the_labels_must_agree(agreement, passed):
    assert verdict(variant("int8", agreement))[0] is passed


def test_fp32_passes_and_is_the_measure_of_its_own_engine_only():
    slower = Variant(precision="fp32", engine="onnxruntime", file="model", parity=variant("fp32").parity)
    verdicts = judge([slower, variant("fp32", liver=0.5), variant("int8", liver=0.495)])
    assert [each.passed for each in verdicts] == [True, True, True]


def test_what_was_not_measured_gets_no_verdict():
    assert verdict(variant("int8", None)) == (None, "")
