from __future__ import annotations

import numpy as np
import pytest
import torch
from bedside.runtime.blend import BACKGROUND_LOGIT, WindowScores, blend
from bedside.runtime.windows import plan_windows
from monai.inferers.utils import sliding_window_inference

PATCH = (8, 10, 12)
CLASSES = 3
_RAMP = np.random.default_rng(1).normal(size=(CLASSES, *PATCH)).astype(np.float32)


def network(patch):
    """Logits that depend on the place inside the window, so that wrong weights or positions show."""
    return patch * _RAMP + _RAMP[::-1]


def blended(plan, volume):
    padded = plan.pad(volume, 0.0)
    slabs = list(blend(plan, (WindowScores(s, network(padded[plan.window(s)][None])) for s in plan.starts), CLASSES))
    return slabs


def whole(slabs):
    return np.concatenate([slab.scores for slab in slabs], axis=1)


@pytest.mark.parametrize("shape", [(20, 21, 25), (8, 10, 12), (5, 30, 12), (33, 4, 7), (3, 3, 3)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.75])
def test_blended_logits_are_monais_gaussian_sliding_window(shape, overlap):
    volume = np.random.default_rng(2).random(shape, np.float32)
    ours = whole(blended(plan_windows(shape, PATCH, overlap), volume))
    ramp = torch.from_numpy(_RAMP)
    theirs = sliding_window_inference(
        torch.from_numpy(volume)[None, None], PATCH, 1, lambda x: x * ramp + ramp.flip(0), overlap, mode="gaussian"
    )
    np.testing.assert_allclose(ours, theirs[0].numpy(), atol=1e-4)


def test_slabs_follow_each_other_without_gap():
    volume = np.zeros((30, 10, 12), np.float32)
    slabs = blended(plan_windows(volume.shape, PATCH, 0.5), volume)
    assert [slab.start for slab in slabs] == [0, 4, 8, 12, 16, 20, 22]
    assert sum(slab.scores.shape[1] for slab in slabs) == 30


def test_planes_are_handed_out_before_the_next_row_of_windows_is_computed():
    plan = plan_windows((24, 10, 12), PATCH, 0.0)  # three windows, one above the other
    computed = []

    def windows():
        for start in plan.starts:
            computed.append(start[0])
            yield WindowScores(start, np.ones((CLASSES, *PATCH), np.float32))

    slabs = blend(plan, windows(), CLASSES)
    assert next(slabs).start == 0
    assert computed == [0, 8]


def test_no_slab_is_deeper_than_the_patch():
    body = np.zeros((100, 10, 12), bool)
    body[95] = True
    plan = plan_windows(body.shape, PATCH, 0.5, body)
    slabs = blended(plan, np.zeros(body.shape, np.float32))
    assert max(slab.scores.shape[1] for slab in slabs) <= PATCH[0]
    assert whole(slabs).shape[1] == 100


def test_voxels_no_window_saw_are_background():
    body = np.zeros((24, 10, 12), bool)
    body[12] = True
    scores = whole(blended(plan_windows(body.shape, PATCH, 0.0, body), np.ones(body.shape, np.float32)))
    assert scores[:, 0, 0, 0].tolist() == [BACKGROUND_LOGIT, 0, 0]
    assert scores[:, 20, 5, 5].tolist() == [BACKGROUND_LOGIT, 0, 0]
    np.testing.assert_allclose(scores[:, 8:16], network(np.ones(PATCH, np.float32)), rtol=1e-5)


def test_a_window_left_out_is_filled_by_its_neighbours():
    plan = plan_windows((12, 10, 12), PATCH, 0.5)  # windows at z = 0 and 4
    fives = np.full((CLASSES, *PATCH), 5, np.float32)
    scores = whole(list(blend(plan, [WindowScores((0, 0, 0), fives), WindowScores((4, 0, 0), None)], CLASSES)))
    np.testing.assert_allclose(scores[:, :8], 5, rtol=1e-5)
    assert scores[:, 8, 0, 0].tolist() == [BACKGROUND_LOGIT, 0, 0]
