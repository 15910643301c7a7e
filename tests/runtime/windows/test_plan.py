from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from bedside.runtime import UsageError
from bedside.runtime.windows.plan import gaussian_weight, plan_windows
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.utils import compute_importance_map, dense_patch_slices

SIZES = st.tuples(*[st.integers(1, 40)] * 3)
PATCHES = st.tuples(*[st.integers(1, 16)] * 3)
OVERLAPS = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.625, 0.75, 0.99])


def test_ten_voxels_patch_four_overlap_half_start_at_0_2_4_6():
    plan = plan_windows((10, 4, 4), (4, 4, 4), 0.5)
    assert [z for z, _, _ in plan.starts] == [0, 2, 4, 6]


def test_last_window_ends_with_the_volume():
    plan = plan_windows((11, 4, 4), (4, 4, 4), 0.25)  # step 3
    assert [z for z, _, _ in plan.starts] == [0, 3, 6, 7]


def test_step_is_at_least_one_voxel():
    plan = plan_windows((5, 2, 2), (2, 2, 2), 0.99)
    assert [z for z, _, _ in plan.starts] == [0, 1, 2, 3]


@settings(max_examples=150, deadline=None)
@given(SIZES, PATCHES, OVERLAPS)
def test_windows_lie_where_monai_puts_them(shape, patch, overlap):
    plan = plan_windows(shape, patch, overlap)
    steps = [
        window if size == window else max(1, int(window * (1 - overlap)))
        for size, window in zip(plan.padded, patch, strict=True)
    ]
    expected = [tuple(s.start for s in slices) for slices in dense_patch_slices(plan.padded, patch, steps)]
    assert list(plan.starts) == [tuple(map(int, start)) for start in expected]
    assert len(plan) == len(expected)


@settings(max_examples=50, deadline=None)
@given(SIZES, PATCHES, OVERLAPS)
def test_every_voxel_is_in_a_window(shape, patch, overlap):
    plan = plan_windows(shape, patch, overlap)
    seen = np.zeros(plan.padded, bool)
    for start in plan.starts:
        seen[plan.window(start)] = True
    assert seen.all()


def test_small_volume_is_padded_on_both_sides_the_odd_voxel_behind():
    plan = plan_windows((3, 8, 5), (8, 8, 8), 0.25)
    assert (plan.padded, plan.pad_before, plan.starts) == ((8, 8, 8), (2, 0, 1), ((0, 0, 0),))
    padded = plan.pad(np.ones((3, 8, 5), np.float32), -7.0)
    assert padded[:, 0, 4].tolist() == [-7, -7, 1, 1, 1, -7, -7, -7]


def test_the_last_two_layers_can_be_run_together_row_by_row():
    plan = replace(plan_windows((9, 6, 4), (4, 4, 4), 0.5), last_two_together=True)  # z 0, 2, 4, 5; y 0, 2
    assert [start[:2] for start in plan.starts] == [(0, 0), (0, 2), (2, 0), (2, 2), (4, 0), (5, 0), (4, 2), (5, 2)]


@pytest.mark.parametrize("overlap", [-0.1, 1.0, float("nan")])
def test_overlap_outside_0_to_1_is_refused(overlap):
    with pytest.raises(UsageError, match="overlap: expected 0 ≤ overlap < 1"):
        plan_windows((8, 8, 8), (4, 4, 4), overlap)


@pytest.mark.parametrize("patch", [(8, 8, 8), (5, 12, 9), (32, 16, 24), (1, 4, 4)])
def test_gaussian_weight_is_monais(patch):
    expected = compute_importance_map(patch, mode="gaussian", sigma_scale=0.125, dtype=torch.float32)
    np.testing.assert_allclose(gaussian_weight(patch), expected.numpy(), rtol=2e-6)


def test_gaussian_weight_is_shared_and_cannot_be_changed():
    weight = gaussian_weight((4, 4, 4))
    assert weight is gaussian_weight((4, 4, 4))
    with pytest.raises(ValueError, match="read-only"):
        weight[0, 0, 0] = 1


def test_more_windows_than_anybody_can_wait_for_are_refused():
    assert len(plan_windows((131, 131, 131), (32, 32, 32), 0.99)) == 100**3  # a step of one voxel
    with pytest.raises(UsageError, match=r"overlap: 0\.99 asks for 1,030,301 windows, at most 1,000,000 make sense"):
        plan_windows((132, 132, 132), (32, 32, 32), 0.99)


def test_a_window_count_beyond_all_memory_is_refused_before_any_is_placed():
    with pytest.raises(UsageError, match=r"asks for [0-9,]{43} windows"):
        plan_windows((10**12,) * 3, (20, 20, 20), 0.5)
