import itertools

import numpy as np
import pytest
import torch
from bedside.runtime.task_presets import PRESETS
from bedside.training.data.augment import PROBE, CropAugmentation, FlipRotation, build_augmentation
from bedside.training.data.mirroring import flip_axes
from bedside.training.recipe import AUGMENTATION, Augmentation

DEPTH, HEIGHT, WIDTH = 0, 1, 2


def crop(size=(6, 8, 8)):
    image = torch.from_numpy(np.random.default_rng(0).random((1, *size), np.float32))
    return {"image": image, "label": (image > 0.5).long(), "teacher": torch.cat([1 - image, image])}


def test_left_right_is_not_flipped_where_the_task_names_sides():
    assert flip_axes(PRESETS["btcv"]) == (DEPTH, HEIGHT)
    assert flip_axes(PRESETS["pelvic"]) == (DEPTH, HEIGHT, WIDTH)


def test_the_side_axis_follows_the_tasks_orientation():
    task = PRESETS["btcv"].replaced(orientation="SRA")  # sides along y, which is the height of a crop
    assert flip_axes(task) == (DEPTH, WIDTH)


def test_image_label_and_teacher_turn_together():
    task = PRESETS["pelvic"].replaced(patch=(8, 8, 6))
    transform = build_augmentation(task, Augmentation(flip=0.5, rotate=1.0, scale=0), ["image", "label", "teacher"])
    transform.set_random_state(seed=3)
    before, after = crop(), transform(crop())
    assert not torch.equal(torch.as_tensor(after["image"]), before["image"])
    assert torch.equal(torch.as_tensor(after["label"]), (torch.as_tensor(after["image"]) > 0.5).long())
    assert torch.equal(torch.as_tensor(after["teacher"])[1:], torch.as_tensor(after["image"]))


def test_oblong_patches_are_not_turned():
    task = PRESETS["pelvic"].replaced(patch=(16, 8, 6))
    transform = build_augmentation(task, Augmentation(flip=0, rotate=1.0, scale=0), ["image"])
    start = crop((6, 8, 16))
    assert torch.equal(torch.as_tensor(transform(dict(start))["image"]), start["image"])


def test_quarter_turns_are_in_the_axial_plane_whatever_the_tasks_orientation():
    """MONAI's networks have z last: the task of their bundles has orientation SAR, and a crop's W is along the body."""
    for orientation, along_the_body in (("RAS", DEPTH), ("SAR", WIDTH), ("LSP", HEIGHT)):
        task = PRESETS["pelvic"].replaced(orientation=orientation, patch=(8, 8, 8))
        augmentation = CropAugmentation(task, Augmentation(flip=0, rotate=1.0))
        turns = {augmentation.draw(seed) for seed in range(20)}
        assert len(turns) == 3
        assert {(turn.axes[along_the_body], turn.flipped[along_the_body]) for turn in turns} == {
            (along_the_body, False)
        }


def test_a_patch_that_is_square_in_another_plane_is_not_turned():
    task = PRESETS["pelvic"].replaced(orientation="SAR", patch=(8, 8, 6))
    turns = {CropAugmentation(task, Augmentation(flip=0, rotate=1.0)).draw(seed) for seed in range(20)}
    assert turns == {FlipRotation()}


@pytest.mark.parametrize(("spacing", "turned"), [((4.0, 0.8, 0.8), False), ((0.8, 0.8, 4.0), True)])
def test_a_grid_of_unequal_spacing_in_the_axial_plane_is_not_turned(spacing, turned):
    """A quarter turn would stretch the anatomy."""
    task = PRESETS["pelvic"].replaced(orientation="RAS", patch=(8, 8, 8), spacing=spacing)
    turns = {CropAugmentation(task, Augmentation(flip=0, rotate=1.0)).draw(seed) for seed in range(20)}
    assert (turns != {FlipRotation()}) == turned


def test_probabilities_are_those_of_the_papers_appendix():
    assert AUGMENTATION["pelvic"] == Augmentation(flip=0.3, rotate=0.2, scale=0.1, shift=0.1)
    assert AUGMENTATION["btcv"] == Augmentation(flip=0.1, rotate=0.1, scale=0.2, shift=0.0)


def test_every_turn_of_the_cube_is_read_off_eight_voxels():
    volume = np.random.default_rng(0).random((2, 4, 4, 4))
    turns = set()
    for axes in itertools.permutations(range(3)):
        for flips in itertools.product((slice(None), slice(None, None, -1)), repeat=3):
            turn = FlipRotation.read_from(PROBE[flips].transpose(axes))
            result = np.empty_like(volume)
            turn.target(result)[...] = volume
            assert np.array_equal(result, volume[(slice(None), *flips)].transpose(0, *(axis + 1 for axis in axes)))
            for axis in range(3):
                mirrored = np.empty_like(volume)
                turn.mirrored(axis).target(mirrored)[...] = volume
                turn.target(result)[...] = np.flip(volume, 1 + axis)
                assert np.array_equal(mirrored, result)
            turns.add(turn)
    assert len(turns) == 48


def test_turns_and_intensities_are_those_of_monais_transforms_with_the_same_seed():
    task = PRESETS["pelvic"].replaced(patch=(8, 8, 6))
    augmentation = Augmentation(flip=0.5, rotate=0.7, scale=0.5, shift=0.5)
    whole, quick = build_augmentation(task, augmentation, ["image"]), CropAugmentation(task, augmentation)
    image, turns = crop()["image"], set()
    for seed in range(40):
        whole.set_random_state(seed=seed)
        turn, turned = quick.draw(seed), np.empty((1, 6, 8, 8), np.float32)
        turns.add(turn)
        turn.target(turned)[...] = image.numpy()
        expected = torch.as_tensor(whole({"image": image.clone()})["image"])
        assert torch.equal(quick.change_intensities(torch.from_numpy(turned)), expected)
    assert len(turns) > 10


def test_contrast_and_noise_change_the_image_alone():
    start = crop()
    for change in ({"contrast": 1.0}, {"noise": 1.0}):
        augmentation = CropAugmentation(PRESETS["pelvic"], Augmentation(flip=0, rotate=0, scale=0, **change))
        assert augmentation.draw(3) == FlipRotation()
        image = augmentation.change_intensities(start["image"].clone())
        assert image.shape == start["image"].shape
        assert image.dtype == torch.float32
        assert not torch.equal(image, start["image"])
        again = CropAugmentation(PRESETS["pelvic"], Augmentation(flip=0, rotate=0, scale=0, **change))
        again.draw(3)
        assert torch.equal(again.change_intensities(start["image"].clone()), image)


def test_contrast_keeps_the_order_and_the_range_of_the_intensities():
    image = crop()["image"]
    augmentation = CropAugmentation(PRESETS["pelvic"], Augmentation(flip=0, rotate=0, scale=0, contrast=1.0))
    augmentation.draw(3)
    changed = augmentation.change_intensities(image.clone())
    assert torch.equal(changed.flatten().argsort(), image.flatten().argsort())
    assert torch.allclose(changed.min(), image.min(), atol=1e-5)
    assert torch.allclose(changed.max(), image.max(), atol=1e-5)


def test_noise_has_at_most_the_stated_deviation():
    image = torch.zeros(1, 24, 24, 24)
    augmentation = CropAugmentation(PRESETS["pelvic"], Augmentation(flip=0, rotate=0, scale=0, noise=1.0))
    deviations = []
    for seed in range(20):
        augmentation.draw(seed)
        deviations.append(float(augmentation.change_intensities(image.clone()).std()))
    assert 0 < min(deviations) < 0.05 < max(deviations) <= 0.102
