from __future__ import annotations

import numpy as np
from bedside.runtime.windows.body_windows import BodyWindows
from bedside.runtime.windows.plan import plan_windows
from hypothesis import given, settings
from hypothesis import strategies as st


def held(plan, body, margin=0):
    windows = BodyWindows(plan, margin)
    for plane, mask in enumerate(body):
        windows.add(plane, mask)
    return windows


def test_only_the_window_over_the_body_holds_it():
    body = np.zeros((12, 4, 4), bool)
    body[9, 2, 2] = True
    plan = plan_windows(body.shape, (4, 4, 4), 0.0)  # windows start at z = 0, 4, 8
    windows = held(plan, body)
    assert [windows.has_body(start) for start in plan.starts] == [False, False, True]
    assert windows.any


def test_a_margin_of_two_planes_reaches_the_window_before():
    body = np.zeros((12, 4, 4), bool)
    body[9, 2, 2] = True
    plan = plan_windows(body.shape, (4, 4, 4), 0.0)
    assert [held(plan, body, 2).has_body(start) for start in plan.starts] == [False, True, True]
    assert [held(plan, body, 1).has_body(start) for start in plan.starts] == [False, False, True]


def test_body_of_a_padded_volume_is_padded_with_air():
    body = np.zeros((3, 3, 9), bool)
    body[1, 1, 8] = True
    plan = plan_windows(body.shape, (4, 4, 4), 0.0)  # x windows at 0, 4, 5; the window at 4 ends before voxel 8
    assert [start for start in plan.starts if held(plan, body).has_body(start)] == [(0, 0, 5)]


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(1, 20)] * 3),
    st.tuples(*[st.integers(1, 8)] * 3),
    st.sampled_from([0.0, 0.5, 0.8]),
    st.integers(0, 2**32 - 1),
)
def test_a_window_holds_body_where_its_voxels_do(shape, patch, overlap, seed):
    body = np.random.default_rng(seed).random(shape) < 0.02
    plan = plan_windows(shape, patch, overlap)
    windows, padded = held(plan, body), plan.pad(body, False)
    assert all(windows.has_body(start) == padded[plan.window(start)].any() for start in plan.starts)
    assert windows.any == body.any()
