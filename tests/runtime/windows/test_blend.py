from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from bedside.runtime.windows.axis_order import AxisOrder
from bedside.runtime.windows.blend import BACKGROUND_LOGIT, WindowScores, blend, peak_blending_bytes
from bedside.runtime.windows.plan import plan_windows
from monai.inferers.utils import sliding_window_inference

PATCH = (8, 10, 12)
CLASSES = 3
_RAMP = np.random.default_rng(1).normal(size=(CLASSES, *PATCH)).astype(np.float32)


def network(patch):
    """Logits that depend on the place inside the window, so that wrong weights or positions show."""
    return patch * _RAMP + _RAMP[::-1]


def blocks(plan, volume, dtype=np.float32, order=AxisOrder(), run=lambda start: True):  # noqa: B008
    padded = plan.pad(order.turned(volume), 0.0)

    def windows():
        for start in plan.starts:
            patch = order.turned_back(padded[plan.window(start)])[None]
            yield WindowScores(start, order.turned(network(patch)) if run(start) else None)

    return blend(plan, windows(), CLASSES, dtype, order)


def whole(plan, finished):
    """The volume put together; every voxel must come once."""
    scores = np.full((CLASSES, *plan.shape), np.nan, np.float32)
    for block in finished:
        planes, rows = block.scores.shape[1:3]
        place = scores[:, block.z : block.z + planes, block.y : block.y + rows]
        assert np.isnan(place).all()
        place[...] = block.scores
    assert not np.isnan(scores).any()
    return scores


def monai_logits(volume, overlap):
    ramp = torch.from_numpy(_RAMP)
    return sliding_window_inference(
        torch.from_numpy(volume)[None, None], PATCH, 1, lambda x: x * ramp + ramp.flip(0), overlap, mode="gaussian"
    )[0].numpy()


def probabilities(logits):
    powers = np.exp(logits - logits.max(axis=0))
    return powers / powers.sum(axis=0)


@pytest.mark.parametrize("shape", [(20, 21, 25), (8, 10, 12), (5, 30, 12), (33, 4, 7), (3, 3, 3)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.75, 0.8])
def test_blended_logits_are_monais_gaussian_sliding_window(shape, overlap):
    volume = np.random.default_rng(2).random(shape, np.float32)
    plan = plan_windows(shape, PATCH, overlap)
    np.testing.assert_allclose(whole(plan, blocks(plan, volume)), monai_logits(volume, overlap), atol=1e-4)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("together", [False, True])
def test_every_order_of_the_axes_blends_the_same(axes, together):
    volume = np.random.default_rng(2).random((20, 21, 29), np.float32)
    order = AxisOrder(axes)
    plan = plan_windows(order.sizes(volume.shape), order.sizes(PATCH), 0.5)
    plan = replace(plan, last_two_together=together)
    blended = order.turned_back(whole(plan, blocks(plan, volume, order=order)))
    np.testing.assert_allclose(blended, monai_logits(volume, 0.5), atol=1e-4)


@pytest.mark.parametrize("overlap", [0.5, 0.75])
def test_scores_that_wait_in_float16_give_probabilities_within_some_thousandths(overlap):
    volume = np.random.default_rng(3).random((30, 21, 25), np.float32) * 4
    plan = plan_windows(volume.shape, PATCH, overlap)
    packed = probabilities(whole(plan, blocks(plan, volume, np.float16)))
    exact = probabilities(monai_logits(volume, overlap))
    np.testing.assert_allclose(packed, exact, atol=3e-3)
    best_two = np.sort(exact, axis=0)[-2:]
    clear = best_two[1] - best_two[0] > 6e-3
    assert np.array_equal(packed.argmax(0)[clear], exact.argmax(0)[clear])


def test_a_row_of_windows_is_handed_out_before_the_next_is_computed():
    plan = plan_windows((24, 10, 12), PATCH, 0.0)  # three windows, one above the other
    computed = []

    def windows():
        for start in plan.starts:
            computed.append(start[0])
            yield WindowScores(start, np.ones((CLASSES, *PATCH), np.float32))

    assert next(blend(plan, windows(), CLASSES)).z == 0
    assert computed == [0]


def test_voxels_no_window_saw_are_background():
    plan = plan_windows((24, 10, 12), PATCH, 0.0)
    scores = whole(plan, blocks(plan, np.ones(plan.shape, np.float32), run=lambda start: start[0] == 8))
    assert scores[:, 0, 0, 0].tolist() == [BACKGROUND_LOGIT, 0, 0]
    assert scores[:, 20, 5, 5].tolist() == [BACKGROUND_LOGIT, 0, 0]
    np.testing.assert_allclose(scores[:, 8:16], network(np.ones(PATCH, np.float32)), rtol=1e-5)


def test_blocks_without_any_window_say_so():
    plan = plan_windows((24, 10, 12), PATCH, 0.0)
    found = [*blocks(plan, np.ones(plan.shape, np.float32), run=lambda start: start[0] == 8)]
    assert {each.z for each in found if not each.uncovered} == {8}
    assert {each.z for each in found if each.uncovered} == {0, 16}


def test_a_window_left_out_is_filled_by_its_neighbours():
    plan = plan_windows((12, 10, 12), PATCH, 0.5)  # windows at z = 0 and 4
    fives = np.full((CLASSES, *PATCH), 5, np.float32)
    scores = whole(plan, blend(plan, [WindowScores((0, 0, 0), fives), WindowScores((4, 0, 0), None)], CLASSES))
    np.testing.assert_allclose(scores[:, :8], 5, rtol=1e-5)
    assert scores[:, 8, 0, 0].tolist() == [BACKGROUND_LOGIT, 0, 0]


def test_what_waits_does_not_grow_with_the_volumes_length():
    short, long = (peak_blending_bytes(plan_windows((z, 64, 64), (32,) * 3, 0.5), 14, np.float32) for z in (96, 960))
    assert short == long


def test_run_together_the_last_two_layers_hold_less_where_they_overlap_much():
    plan = plan_windows((824, 512, 512), (96, 96, 96), 0.5)  # the last two start at 720 and 728
    together = replace(plan, last_two_together=True)
    assert peak_blending_bytes(together, 14, np.float32) < 0.7 * peak_blending_bytes(plan, 14, np.float32)
