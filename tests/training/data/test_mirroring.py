"""Left and right are mirrored only where no label names a side, or on request and with a warning; rotations."""

import pytest
from bedside.runtime.task_presets import PRESETS
from bedside.training.data.mirroring import mirroring_note, mirroring_warning, rotated_axes, rotation_note
from bedside.training.recipe import Augmentation

SIDES, NO_SIDES = PRESETS["btcv"], PRESETS["pelvic"]


def test_labels_with_sides_are_noted():
    assert mirroring_note(SIDES, Augmentation()).endswith(
        "kidney_left / kidney_right, adrenal_gland_left / adrenal_gland_right"
    )
    assert mirroring_warning(SIDES, Augmentation()) is None


def test_mirroring_them_on_request_is_a_warning():
    assert "kidney_left / kidney_right" in mirroring_warning(SIDES, Augmentation(mirror_sides=True))
    assert mirroring_note(SIDES, Augmentation(mirror_sides=True)) is None


def test_without_sides_or_without_flips_there_is_nothing_to_say():
    for task, augmentation in (
        (NO_SIDES, Augmentation()),
        (SIDES, Augmentation(flip=0.0)),
    ):
        assert (mirroring_note(task, augmentation), mirroring_warning(task, augmentation)) == (None, None)


@pytest.mark.parametrize(
    ("task", "flip", "reason"),
    [(NO_SIDES, 0.1, "no labels are a left and a right"), (SIDES, 0.0, "no crop is flipped")],
)
def test_a_request_without_effect_is_told(task, flip, reason):
    """An option that changes nothing is likely a mistake; a note that nothing prevents mirroring is none."""
    augmentation = Augmentation(mirror_sides=True, flip=flip)
    assert mirroring_warning(task, augmentation).startswith(f"--mirror-sides has no effect: {reason}")
    assert mirroring_note(task, augmentation) is None


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
