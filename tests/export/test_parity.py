"""Parity figures worked out by hand: two voxels, two classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from bedside.export.parity import (
    NotFiniteError,
    ParityComparison,
    affordable_patches,
    check_fp32,
    student_logits,
    variant_logits,
)
from bedside.runtime.bundles.figures import Parity
from bedside.runtime.errors import BundleError, UsageError
from bedside.runtime.labels.probabilities import softmax

LN3 = float(np.log(3))


@dataclass
class Canned:
    """An engine that returns given logits."""

    answer: np.ndarray
    name: str = "canned"
    precision: str = "fp32"
    patch_dhw: tuple[int, int, int] = (1, 1, 2)
    num_classes: int = 2

    def infer(self, patches: np.ndarray) -> np.ndarray:
        return self.answer

    def close(self) -> None:
        pass


def logits(*voxels: tuple[float, float]) -> np.ndarray:
    """[1, 2, 1, 1, voxels] from (class 0, class 1) of each voxel."""
    return np.array(voxels, np.float32).T.reshape(1, 2, 1, 1, len(voxels))


PATCH = np.zeros((1, 1, 1, 1, 2), np.float32)


def compared(*patches: tuple[np.ndarray, np.ndarray]) -> Parity:
    """Parity of (variant's logits, student's logits)."""
    comparison = ParityComparison()
    for variant, student in patches:
        comparison.add(softmax(variant[0]), softmax(student[0]))
    return comparison.figures()


def test_softmax_of_ln3_against_0_is_three_quarters():
    assert softmax(logits((LN3, 0.0))[0]).ravel() == pytest.approx([0.75, 0.25])


def test_one_voxel_that_moves_from_three_quarters_to_one_quarter():
    parity = compared((logits((0, LN3), (LN3, 0)), logits((LN3, 0), (LN3, 0))))
    assert parity.max_abs_probability == pytest.approx(0.5)
    assert parity.mean_abs_probability == pytest.approx(0.25)
    assert parity.label_agreement == 0.5
    assert parity.patches == 1


def test_figures_are_over_all_patches():
    same, other = logits((LN3, 0), (LN3, 0)), logits((0, LN3), (0, LN3))
    parity = compared((same, same), (same, other))
    assert parity.patches == 2
    assert parity.label_agreement == 0.5
    assert parity.mean_abs_probability == pytest.approx(0.25)


def test_an_engine_that_returns_nan_is_refused():
    with pytest.raises(NotFiniteError, match="the output of canned fp32 holds NaN or infinity"):
        variant_logits(Canned(logits((np.nan, 0), (0, 0))), PATCH)


def fp32(*, largest: float, agreement: float) -> Parity:
    return Parity(max_abs_probability=largest, mean_abs_probability=0.0, label_agreement=agreement, patches=1)


def test_an_fp32_engine_that_labels_two_voxels_in_ten_thousand_otherwise_is_refused():
    with pytest.raises(BundleError, match=r"0\.99980 of the labels agree \(expected at least 0\.9999\)"):
        check_fp32("canned", fp32(largest=0.0, agreement=0.9998))


def test_an_fp32_engine_with_a_probability_a_thousandth_off_is_refused():
    with pytest.raises(BundleError, match=r"a probability differs by 0\.00100 \(at most 0\.0005\)"):
        check_fp32("canned", fp32(largest=0.001, agreement=1.0))


def test_an_fp32_engine_at_the_bounds_passes():
    check_fp32("canned", fp32(largest=0.0005, agreement=0.9999))


def test_logits_that_differ_by_less_than_a_thousandth_keep_their_probabilities_within_the_bound_of_fp32():
    student = np.random.default_rng(0).normal(0, 3, (1, 4, 1, 1, 5000)).astype(np.float32)
    signs = np.where(student == student.max(1, keepdims=True), 1, -1)
    parity = compared((student + np.float32(0.00099) * signs, student))
    assert 0.0004 < parity.max_abs_probability <= 0.0005


def test_reference_logits_of_128_cubed_with_14_classes_fit_four_times_into_512_mib():
    assert affordable_patches((128, 128, 128), 14, 8) == 4
    assert affordable_patches((64, 64, 64), 14, 8) == 8
    assert affordable_patches((512, 512, 512), 14, 8) == 1


def test_a_student_with_nan_weights_is_refused():
    student = torch.nn.Conv3d(1, 2, 1)
    torch.nn.init.constant_(student.weight, float("nan"))
    with pytest.raises(UsageError, match="NaN"):
        student_logits(student, PATCH)
