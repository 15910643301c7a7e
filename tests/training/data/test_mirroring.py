"""Left and right are flipped only where no label names a side, or mirrored with the labels of each pair; rotations."""

import numpy as np
import pytest
from bedside.runtime.errors import UsageError
from bedside.runtime.task_presets import PRESETS
from bedside.training.data.ignore_label import IGNORED
from bedside.training.data.mirroring import (
    Mirror,
    check_mirroring,
    flip_note,
    mirroring_note,
    rotated_axes,
    rotation_note,
)
from bedside.training.recipe import Augmentation

SIDES, NO_SIDES = PRESETS["btcv"], PRESETS["pelvic"]
ONE_SIDE = SIDES.replaced(labels=("background", "liver", "kidney_left"))
MIRRORED = Augmentation(mirror=0.5)


def test_what_becomes_of_labels_with_sides_is_noted():
    pairs = "kidney_left / kidney_right, adrenal_gland_left / adrenal_gland_right"
    assert mirroring_note(SIDES, Augmentation()) == f"left and right are not mirrored, for labels name sides: {pairs}"
    assert mirroring_note(SIDES, MIRRORED) == f"left and right are mirrored, and labels change places: {pairs}"
    assert mirroring_note(ONE_SIDE, Augmentation()).endswith("name sides: kidney_left")


def test_without_sides_or_without_flips_there_is_nothing_to_say():
    for task, augmentation in ((NO_SIDES, Augmentation()), (NO_SIDES, MIRRORED), (SIDES, Augmentation(flip=0.0))):
        assert mirroring_note(task, augmentation) is None


def test_flips_along_an_axis_whose_ends_have_names_are_noted():
    ends = ("background", "anterior", "posterior")
    note = "crops are flipped from front to back, where labels name ends: anterior / posterior; --flip 0 flips none"
    assert flip_note(NO_SIDES.replaced(labels=ends), Augmentation()) == note
    both = (*ends, "upper lobe", "lower lobe")
    said = "from front to back and from top to bottom, where labels name ends: anterior / posterior, upper lobe / lower"
    assert said in (flip_note(NO_SIDES.replaced(labels=both), Augmentation()) or "")
    assert flip_note(NO_SIDES.replaced(labels=both), Augmentation(flip=0.0)) is None
    assert flip_note(NO_SIDES, Augmentation()) is None


def test_each_label_of_a_pair_becomes_the_other_and_other_values_stay():
    labels = SIDES.labels
    mirror = Mirror.of(SIDES)
    for name, other in [("kidney_left", "kidney_right"), ("kidney_right", "kidney_left"), ("liver", "liver")]:
        assert mirror.labels(np.array([labels.index(name)])) == labels.index(other)
    mixed = np.array([[0, IGNORED], [labels.index("adrenal_gland_left"), IGNORED]])
    assert mirror.labels(mixed).tolist() == [[0, IGNORED], [labels.index("adrenal_gland_right"), IGNORED]]
    assert (mirror.counterparts[mirror.counterparts] == np.arange(len(labels))).all()
    probabilities = np.arange(len(labels), dtype=np.uint8)[:, None]
    assert (mirror.classes(probabilities)[:, 0] == mirror.counterparts).all()


@pytest.mark.parametrize(("orientation", "axis"), [("RAS", 2), ("LPI", 2), ("SAR", 0), ("SRA", 1)])
def test_the_mirror_stands_between_the_sides_whatever_the_orientation(orientation, axis):
    assert Mirror.of(NO_SIDES.replaced(orientation=orientation)).axis == axis


def test_a_side_without_its_counterpart_cannot_be_mirrored():
    with pytest.raises(UsageError, match="--mirror: in a mirrored scan kidney_left would be what no label names"):
        check_mirroring(ONE_SIDE, MIRRORED)
    for task, augmentation in ((ONE_SIDE, Augmentation()), (SIDES, MIRRORED), (NO_SIDES, MIRRORED)):
        check_mirroring(task, augmentation)


@pytest.mark.parametrize("task", [PRESETS["acdc"], PRESETS["mm-whs"]], ids=["acdc", "mm-whs"])
def test_the_chambers_of_the_heart_are_not_each_others_mirror_image(task):
    with pytest.raises(UsageError, match="are parts of one organ"):
        check_mirroring(task, MIRRORED)


@pytest.mark.parametrize(
    ("changes", "axes"),
    [
        ({"patch": (96, 96, 64)}, (1, 2)),
        ({"patch": (128, 96, 96)}, None),
        ({"patch": (96, 96, 64), "spacing": (1.0, 2.0, 3.0)}, None),
        ({"patch": (64, 96, 96), "spacing": (3.0, 1.5, 1.5), "orientation": "SRA"}, (0, 1)),
    ],
)
def test_crops_are_rotated_where_the_patch_is_square_in_the_axial_plane_and_else_that_is_noted(changes, axes):
    task = NO_SIDES.replaced(**changes)
    assert rotated_axes(task) == axes
    assert (rotation_note(task, Augmentation(rotate=0.1)) is None) is (axes is not None)
    assert rotation_note(task, Augmentation(rotate=0.0)) is None


def test_the_note_about_rotations_gives_the_patch():
    task = NO_SIDES.replaced(patch=(128, 96, 96), spacing=(1.5, 1.5, 2.0))
    assert rotation_note(task, Augmentation()) == (
        "crops are not rotated by right angles (--rotate), for the patch is not square in the axial plane: "
        "128 × 96 × 96 voxels of 1.5 × 1.5 × 2 mm"
    )
