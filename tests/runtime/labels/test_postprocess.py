from __future__ import annotations

import math
from contextlib import contextmanager

import msgspec
import numpy as np
import pytest
from bedside.runtime.errors import InputError, ResourceError, UsageError
from bedside.runtime.labels.components import RUN_BYTES
from bedside.runtime.labels.postprocess import Postprocessing, Removal, cut_by_body, emptied, postprocess
from bedside.runtime.memory import memory_limit
from bedside.runtime.preprocessing.body_mask import BodyMask
from bedside.runtime.scans.geometry import Grid

NAMES = ("background", "liver", "spleen")
AFFINE = np.diag([10.0, 10.0, 10.0, 1.0])  # a voxel is 1 ml


def livers_and_spleens():
    """Livers of 8, 3 and 1 ml, spleens of 4 and 4 ml."""
    labels = np.zeros((12, 6, 5), np.uint8, order="F")
    labels[0:2, 0:2, 0:2] = 1
    labels[5:8, 0, 0] = 1
    labels[11, 5, 4] = 1
    labels[0:2, 4:6, 4] = 2
    labels[5:7, 4:6, 4] = 2
    return labels


def body_of(mask, affine):
    body = BodyMask(Grid(mask.shape[::-1], affine))
    for plane in mask:
        body.add(plane)
    return body


def volumes(labels):
    return {name: int((labels == index).sum()) for index, name in enumerate(NAMES) if index}


def test_nothing_is_asked_for_by_default():
    labels = livers_and_spleens()
    assert postprocess(labels, NAMES, Grid(labels.shape, AFFINE), Postprocessing()) == ()
    assert np.array_equal(labels, livers_and_spleens())


def test_the_largest_component_of_one_label_stays():
    labels = livers_and_spleens()
    settings = Postprocessing(largest_component=("liver",))
    applied = postprocess(labels, NAMES, Grid(labels.shape, AFFINE), settings)
    assert volumes(labels) == {"liver": 8, "spleen": 8}
    assert labels[0:2, 0:2, 0:2].all()
    assert applied == (Removal("largest_component", "liver", 2, 4, 4.0),)


def test_of_two_that_are_the_largest_both_stay():
    labels = livers_and_spleens()
    applied = postprocess(labels, NAMES, Grid(labels.shape, AFFINE), Postprocessing(largest_component="all"))
    assert volumes(labels) == {"liver": 8, "spleen": 8}
    assert applied[1] == Removal("largest_component", "spleen", 0, 0, 0.0)


@pytest.mark.parametrize(("least", "left"), [(0.5, 12), (1.0, 12), (1.001, 11), (3.0, 11), (3.5, 8), (9.0, 0)])
def test_components_below_the_least_volume_go(least, left):
    labels = livers_and_spleens()
    postprocess(labels, NAMES, Grid(labels.shape, AFFINE), Postprocessing(min_volume_ml={"liver": least}))
    assert volumes(labels) == {"liver": left, "spleen": 8}


def test_a_component_of_just_the_least_volume_stays_whatever_a_header_rounds():
    spacing = np.float32(0.7)  # 0.699999988; 3 voxels are 1.029 ml less a little
    grid = Grid((12, 6, 5), np.diag([spacing * 10, 7, 7, 1]))
    labels = livers_and_spleens()
    postprocess(labels, NAMES, grid, Postprocessing(min_volume_ml={"liver": 1.029}))
    assert volumes(labels)["liver"] == 11


def test_both_rules_count_a_component_once():
    labels = livers_and_spleens()
    settings = Postprocessing(largest_component=("liver",), min_volume_ml={"liver": 2})
    applied = postprocess(labels, NAMES, Grid(labels.shape, AFFINE), settings)
    assert applied == (Removal("min_volume", "liver", 1, 1, 1.0), Removal("largest_component", "liver", 1, 3, 3.0))


def test_organs_that_touch_are_not_one_component():
    labels = np.ones((4, 4, 4), np.uint8)
    labels[2:] = 2
    labels[1, 1, 1] = 2  # reaches the spleen by face
    labels[0, 3, 3] = 2  # and this does not
    postprocess(labels, NAMES, Grid(labels.shape, AFFINE), Postprocessing(largest_component=("spleen",)))
    assert volumes(labels) == {"liver": 30, "spleen": 33}


def test_a_label_that_was_emptied_is_worth_a_warning():
    labels = livers_and_spleens()
    settings = Postprocessing(min_volume_ml={"liver": 9, "spleen": 2})
    applied = postprocess(labels, NAMES, Grid(labels.shape, AFFINE), settings)
    assert emptied(applied, volumes(labels)) == ("post-processing removed all of liver (12 ml)",)


def test_a_label_that_was_never_there_is_worth_none():
    labels = np.zeros((3, 3, 3), np.uint8)
    settings = Postprocessing(largest_component="all")
    assert emptied(postprocess(labels, NAMES, Grid(labels.shape, AFFINE), settings), volumes(labels)) == ()


def test_a_label_of_which_more_than_a_tenth_was_outside_the_body_is_worth_a_warning():
    applied = tuple(
        Removal("within_body", label, None, ml, float(ml)) for label, ml in (("liver", 11), ("spleen", 10), ("gone", 5))
    )
    warnings = cut_by_body(applied, {"liver": 89.0, "spleen": 90.0, "gone": 0.0})
    assert warnings == (
        "11 of 100 ml of liver were outside the body and removed; compare with the label map without within_body",
    )


def test_labels_outside_the_body_become_background():
    labels = livers_and_spleens()
    mask = np.ones((5, 6, 12), np.bool_)  # z, y, x
    mask[:, :, 6:] = False
    body = body_of(mask, AFFINE)
    applied = postprocess(labels, NAMES, Grid(labels.shape, AFFINE), Postprocessing(within_body=True), body)
    assert not labels[6:].any()
    assert np.array_equal(labels[:6], livers_and_spleens()[:6])
    assert applied == (Removal("within_body", "liver", None, 3, 3.0), Removal("within_body", "spleen", None, 2, 2.0))


@pytest.mark.parametrize("flip", [(), (0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_the_body_is_found_however_the_scan_is_stored(rng, flip, order):
    # The model's grid is half as fine: each of its voxels covers 2×2×2 of the scan's.
    mask = rng.random((4, 3, 5)) < 0.5
    body = body_of(mask, np.diag([20.0, 20, 20, 1]))
    affine = AFFINE.copy()
    affine[:3, 3] = -5
    labels = np.ones((10, 6, 8), np.uint8)
    truth = np.repeat(np.repeat(np.repeat(mask.T, 2, 0), 2, 1), 2, 2)
    turned, kept, turned_affine = labels.transpose(order), truth.transpose(order), affine[:, [*order, 3]]
    for axis in flip:
        turned, kept = np.flip(turned, axis), np.flip(kept, axis)
        turned_affine = turned_affine.copy()
        turned_affine[:, 3] += turned_affine[:, axis] * (turned.shape[axis] - 1)
        turned_affine[:, axis] *= -1
    turned = turned.copy()
    body.clear_outside(turned, Grid(turned.shape, turned_affine), 2)
    assert np.array_equal(turned, kept)


@pytest.mark.parametrize(("margin", "left"), [(0, [3]), (1, [2, 3, 4]), (2, [1, 2, 3, 4, 5])])
def test_the_body_grows_along_the_models_z(margin, left):
    body = BodyMask(Grid((2, 2, 7), AFFINE), margin)
    for k in range(7):
        body.add(np.full((2, 2), k == 3))
    labels = np.ones((2, 2, 7), np.uint8)
    body.clear_outside(labels, Grid((2, 2, 7), AFFINE), 2)
    assert np.flatnonzero(labels[0, 0]).tolist() == left


def test_a_scan_without_any_body_loses_nothing():
    body = body_of(np.zeros((3, 2, 2), np.bool_), AFFINE)
    labels = np.ones((2, 2, 3), np.uint8)
    assert body.clear_outside(labels, Grid((2, 2, 3), AFFINE), 2).tolist() == [0, 0]
    assert labels.all()


def test_a_body_with_planes_missing_or_too_many_is_refused():
    body = BodyMask(Grid((3, 2, 1), AFFINE))
    with pytest.raises(InputError, match="expected 1 planes, got 0"):
        body.clear_outside(np.ones((3, 2, 1), np.uint8), Grid((3, 2, 1), AFFINE), 2)
    with pytest.raises(InputError, match=r"of shape \(2, 3\), got plane 1 of shape \(3, 2\)"):
        body.add(np.ones((3, 2), np.bool_))
    body.add(np.ones((2, 3), np.bool_))
    with pytest.raises(InputError, match="got plane 2"):
        body.add(np.ones((2, 3), np.bool_))


def test_the_memory_of_the_search_is_reserved_before_it_begins_and_until_it_ends():
    labels, asked = livers_and_spleens(), []

    @contextmanager
    def reserve(needed, what, advice):
        asked.append((needed, what, labels[11, 5, 4]))
        yield
        asked.append(labels[11, 5, 4])

    settings = Postprocessing(largest_component="all")
    postprocess(labels, NAMES, Grid(labels.shape, AFFINE), settings, reserve=reserve)
    # livers: 2 · 2 rows of two voxels, 1 of three and 1 of one; spleens: 2 of two, twice
    assert asked == [(10 * RUN_BYTES, "post-processing of a label map of 10 separate rows", 1), 0]


def test_a_map_is_left_as_it_was_where_the_memory_is_refused(monkeypatch):
    labels = livers_and_spleens()
    monkeypatch.setattr(memory_limit, "free_memory", lambda: 9 * RUN_BYTES)
    with pytest.raises(ResourceError, match="look at the label map without post-processing: it may be noise"):
        postprocess(labels, NAMES, Grid(labels.shape, AFFINE), Postprocessing(largest_component="all"))
    assert np.array_equal(labels, livers_and_spleens())


def test_the_body_is_asked_for_where_it_is_needed():
    labels = livers_and_spleens()
    with pytest.raises(UsageError, match="requires a body mask"):
        postprocess(labels, NAMES, Grid(labels.shape, AFFINE), Postprocessing(within_body=True))


@pytest.mark.parametrize(
    "settings",
    [
        Postprocessing(largest_component=("heart",)),
        Postprocessing(min_volume_ml={"heart": 1}),
        Postprocessing(largest_component=("background",)),
    ],
)
def test_a_label_the_task_does_not_have_is_refused(settings):
    labels = livers_and_spleens()
    with pytest.raises(UsageError, match="expected labels of the task, got"):
        postprocess(labels, NAMES, Grid(labels.shape, AFFINE), settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Postprocessing(), "none"),
        (Postprocessing(largest_component="all"), "largest component of all labels"),
        (
            Postprocessing(largest_component=("liver", "spleen"), min_volume_ml={"liver": 2.5}, within_body=True),
            "components of liver from 2.5 ml; within the body; largest component of liver, spleen",
        ),
    ],
)
def test_settings_in_words(settings, words):
    assert str(settings) == words


@pytest.mark.parametrize("least", [0.0, -1.0, math.nan, math.inf])
def test_a_least_volume_is_above_zero(least):
    with pytest.raises(ValueError, match="expected millilitres above 0"):
        Postprocessing(min_volume_ml={"liver": least})


@pytest.mark.parametrize(
    "settings",
    [
        Postprocessing(),
        Postprocessing(largest_component="all"),
        Postprocessing(largest_component=("liver", "spleen"), min_volume_ml={"liver": 2.5}, within_body=True),
    ],
)
def test_settings_survive_json(settings):
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Postprocessing) == settings


@pytest.mark.parametrize(
    "text", ['{"largest_component": "liver"}', '{"dilate": 1}', '{"min_volume_ml": {"liver": "1"}}']
)
def test_unknown_settings_are_refused(text):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Postprocessing)
