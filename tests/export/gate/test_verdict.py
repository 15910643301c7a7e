"""Who may stand in for fp32: per class, by Dice, probabilities and labels."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.export.gate.borders import BorderComparison
from bedside.export.gate.verdict import bounds_used, judge
from bedside.runtime.bundles.figures import BorderProbabilities, DiceDrop, Parity, SpuriousVolume
from bedside.runtime.bundles.variant import Variant
from bedside.runtime.engines import Precision
from bedside.runtime.labels.probabilities import softmax

LABELS = ("background", "liver", "spleen")


def drop(mean: float) -> DiceDrop:
    return DiceDrop(mean=mean, low=mean - 0.1, high=mean + 0.1)


def border(difference: float = 0.0, shift: float = 0.0) -> BorderProbabilities:
    return BorderProbabilities(voxels=100, difference=difference, confidence_shift=shift, confidence_error=0.9)


def variant(precision: Precision = "int8", agreement: float | None = 1.0, **drops: float) -> Variant:
    """A variant whose organs lost some Dice from 0.8."""
    parity = None
    if agreement is not None:
        parity = Parity(max_abs_probability=0, mean_abs_probability=0, label_agreement=agreement, patches=1)
    return Variant(
        precision=precision,
        engine="openvino",
        file="model",
        parity=parity,
        dice={organ: 0.8 - lost for organ, lost in drops.items()},
        dice_drop=drop(sum(drops.values()) / len(drops)) if drops else None,
        organ_drops={organ: drop(lost) for organ, lost in drops.items()},
    )


def verdict(candidate: Variant) -> tuple[bool | None, str]:
    (result,) = judge([candidate])
    return result.passed, result.gate_reason


def with_borders(**borders: BorderProbabilities) -> Variant:
    return Variant(precision="int8", engine="openvino", file="model", parity=variant().parity, borders=borders)


def test_a_small_loss_in_every_class_passes():
    assert verdict(variant("int8", 0.991, liver=0.003, spleen=0.003)) == (True, "")


def test_one_lost_organ_fails_however_much_better_the_others_are():
    passed, reason = verdict(variant(liver=-0.19, pancreas=0.02))
    assert passed is False
    assert reason == "pancreas: Dice 0.7800, 0.0200 below fp32 (at most 0.01)"


def test_small_losses_everywhere_fail_together():
    passed, reason = verdict(variant(liver=0.004, spleen=0.004))
    assert passed is False
    assert reason == "mean of all organs: Dice 0.0040 below fp32 (at most 0.003)"


@pytest.mark.parametrize(
    ("excess", "size", "passed"),
    [(0.9, 0.5, True), (1.1, 0.5, False), (-30, 200, True), (19, 200, True), (21, 200, False)],
)
def test_an_organ_invented_beyond_a_millilitre_and_a_tenth_of_its_size_fails(excess, size, passed):
    found = {"spleen": SpuriousVolume(cases=1, excess_ml=excess, organ_ml=size)}
    candidate = Variant(precision="int8", engine="openvino", file="m", parity=variant().parity, spurious=found)
    assert verdict(candidate)[0] is passed


def test_the_reason_names_the_invented_organ_and_its_volume():
    found = {"spleen": SpuriousVolume(cases=1, excess_ml=91.125, organ_ml=200)}
    candidate = Variant(precision="int8", engine="openvino", file="m", parity=variant().parity, spurious=found)
    assert verdict(candidate)[1] == "spleen: 91.1 ml more than fp32 in a case without it (at most 20)"


def test_probabilities_that_differ_near_one_organs_border_fail():
    passed, reason = verdict(with_borders(liver=border(0.01), spleen=border(0.2)))
    assert passed is False
    assert reason == "spleen: mean |Δp| near the border 0.2000 (at most 0.03)"


def test_confidence_that_moved_fails():
    passed, reason = verdict(with_borders(spleen=border(0.01, 0.09)))
    assert passed is False
    assert reason == "spleen: shift of confidence 0.0900 (at most 0.02)"


def test_an_error_of_confidence_that_the_student_has_too_does_not_count():
    assert verdict(with_borders(liver=border())) == (True, "")


@pytest.mark.parametrize(("factor", "passed"), [(1.0, True), (0.95, True), (0.3, False), (3.0, False)])
def test_logits_scaled_by_a_factor_keep_every_label_and_fail_for_their_confidence(factor, passed):
    """A ball in a cube; the logit falls by two per voxel across its surface."""
    radius = np.linalg.norm(np.indices((24, 24, 24)) - 12.0, axis=0)
    logits = np.stack([radius - 7, 7 - radius, np.full(radius.shape, -9.0)]).astype(np.float32)
    student, scaled = softmax(logits), softmax(factor * logits)
    comparison = BorderComparison(3)
    comparison.add(scaled, student, None, None)
    agreement = float((scaled.argmax(0) == student.argmax(0)).mean())
    assert agreement == 1.0
    figures = comparison.figures(LABELS)
    candidate = Variant(
        precision="int8", engine="openvino", file="m", parity=variant().parity, dice={"liver": 0.9}, borders=figures
    )
    found, reason = verdict(candidate)
    assert found is passed
    assert ("liver: shift of confidence" in reason) is not passed


def test_too_few_of_the_students_labels_fail_beside_unchanged_dice():
    passed, reason = verdict(variant("bf16", 0.9899, liver=0.0))
    assert passed is False
    assert reason == "only 98.99 % of the voxels have the student's label (at least 99 %)"


def test_every_reason_is_told():
    _, reason = verdict(variant("int8", 0.5, liver=0.8, spleen=0.7))
    assert reason.count(";") == 3
    assert all(word in reason for word in ("liver", "spleen", "mean of all", "50.00 %"))


@pytest.mark.parametrize(("agreement", "passed"), [(0.996, True), (0.994, False)])
def test_without_gate_cases_more_of_the_labels_must_agree(agreement, passed):
    assert verdict(variant("int8", agreement))[0] is passed


def test_fp32_passes():
    assert verdict(variant("fp32", 0.5, liver=0.5)) == (True, "")


def test_what_was_not_measured_gets_no_verdict():
    assert verdict(variant("int8", None)) == (None, "")


@pytest.mark.parametrize(
    ("agreement", "borders", "share"),
    [
        (1.0, {}, 0.0),
        (0.9975, {}, 0.5),  # half of the 0.5 % that may differ
        (1.0, {"liver": border(0.015, 0.002), "spleen": border(0.003, 0.001)}, 0.5),
        (1.0, {"liver": border(0.003, 0.025)}, 1.25),
    ],
)
def test_the_largest_share_of_a_bound_counts(agreement, borders, share):
    assert bounds_used(variant(agreement=agreement).parity, borders) == pytest.approx(share)
