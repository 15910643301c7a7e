"""Calibration patches come from the body, in the network's units, the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from bedside.export.patches import noise_patches, organ_patches, sample_patches
from bedside.runtime import Grid, InputError, read_labels, read_volume, write_volume
from bedside.runtime.task_presets import PRESETS


def test_a_patch_is_batch_channel_z_y_x_in_the_tasks_range(toy_task, toy_case):
    (patch,) = sample_patches([toy_case[0]], toy_task, 1)
    assert patch.shape == (1, 1, 8, 12, 16)
    assert patch.dtype == np.float32
    values = np.unique(patch)  # of −1000, −100 and 800 HU
    assert values == pytest.approx([0.0, 0.45, 0.9])


def test_every_patch_holds_body(toy_task, toy_case):
    assert all(patch.max() > 0.4 for patch in sample_patches([toy_case[0]], toy_task, 12))


def test_the_same_seed_gives_the_same_patches_and_another_seed_others(toy_task, toy_case):
    first, again = (sample_patches([toy_case[0]], toy_task, 4, seed=5) for _ in range(2))
    other = sample_patches([toy_case[0]], toy_task, 4, seed=6)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_patches_are_shared_out_over_the_scans(toy_task, tmp_path):
    images = []
    for number in range(3):
        data = np.full((20, 16, 12), -1000.0, np.float32)
        data[2:18, 2:14, 2:10] = 100.0 * number
        images.append(tmp_path / f"{number}.nii.gz")
        write_volume(images[-1], data, Grid(data.shape, np.diag([3.0, 3.0, 3.0, 1.0])))
    seen = [round(float(patch.max()) * 2000 - 1000) for patch in sample_patches(images, toy_task, 4)]
    assert seen == [0, 0, 100, 200]
    two = sample_patches(images, toy_task, 2)
    assert [round(float(patch.max()) * 2000 - 1000) for patch in two] == [0, 200]


def test_a_scan_smaller_than_the_patch_is_padded_with_air(toy_task, toy_case):
    (patch,) = sample_patches([toy_case[0]], toy_task.replaced(patch=(16, 12, 32)), 1)
    assert patch.shape == (1, 1, 32, 12, 16)
    assert not patch[0, 0, :10].any()  # 12 planes of scan, 10 of air before and after
    assert not patch[0, 0, 22:].any()


def test_what_is_unusual_about_a_scan_is_noted(toy_task, toy_case, tmp_path):
    """Values like those of an MR in a task for CT: air is near 0 and nothing is below."""
    values = np.abs(np.random.default_rng(0).normal(300, 200, (40, 40, 40))).astype(np.int16)
    values[:, :, :10] = 0
    grid = Grid(values.shape, np.diag([3.0, 3.0, 3.0, 1.0]))
    write_volume(tmp_path / "mr.nii", values, grid)
    write_volume(tmp_path / "label.nii", (values > 300).astype(np.uint8), grid)
    noted: dict[str, tuple[str, ...]] = {}

    def note(image, warnings):
        noted[image.name] = tuple(warnings)

    sample_patches([tmp_path / "mr.nii"], PRESETS["btcv"], 1, note=note)
    assert "this looks like MR" in noted.pop("mr.nii")[0]
    organ_patches([(tmp_path / "mr.nii", tmp_path / "label.nii")], PRESETS["btcv"], 1, note=note)
    assert "this looks like MR" in noted.pop("mr.nii")[0]


def test_range_of_a_standardised_task_is_that_of_its_clipped_values():
    assert PRESETS["amos-ct"].intensity.normalised_range == pytest.approx(((-991 - 50) / 141, (362 - 50) / 141))


def test_noise_covers_the_range(toy_task):
    (patch,) = noise_patches(toy_task, 1)
    assert patch.shape == (1, 1, 8, 12, 16)
    assert 0 <= patch.min() < 0.01
    assert 0.99 < patch.max() <= 1


def test_labelled_patches_are_around_the_organ_with_the_fewest_so_far(toy_task, toy_case):
    patches = organ_patches([toy_case], toy_task, 4)
    assert [patch.image.shape for patch in patches] == [(1, 1, 8, 12, 16)] * 4
    assert all(patch.truth.shape == (8, 12, 16) for patch in patches)
    around = [{1, 2} & set(np.unique(patch.truth)) for patch in patches]
    assert all(2 in found for found in around[1::2])  # every second one is around bone
    for patch in patches:  # fat is −100 HU, bone 800
        assert np.array_equal(patch.truth, np.digitize(patch.image[0, 0], (0.2, 0.7)))


def test_labelled_patches_are_spread_over_the_cases_and_the_same_every_time(toy_task, toy_case):
    first, again = ([patch.image for patch in organ_patches([toy_case, toy_case], toy_task, 3)] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len(organ_patches([toy_case] * 5, toy_task, 2)) == 2


def test_a_label_map_may_lie_as_far_from_its_scan_as_a_training_allows(toy_task, toy_case, tmp_path):
    """Other tools round headers: what trained with its cases is not refused after hours, at the export."""
    image, label = toy_case
    stored = read_labels(label)
    angle = 0.05 * min(stored.grid.spacing) / np.linalg.norm(np.multiply(stored.grid.shape, stored.grid.spacing))
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    for shift, refused in ((0.0, False), (1.0, True)):
        turn[0, 3] = shift
        write_volume(tmp_path / "label.nii", stored.data, Grid(stored.grid.shape, turn @ stored.grid.affine))
        case = image, tmp_path / "label.nii"
        if refused:
            with pytest.raises(InputError, match="gate case 1: image and label map are on different grids"):
                organ_patches([case], toy_task, 1)
        else:
            (patch,), (same,) = organ_patches([case], toy_task, 1), organ_patches([toy_case], toy_task, 1)
            assert np.array_equal(patch.truth, same.truth)


def test_a_case_without_organs_gives_patches_of_the_body(toy_task, toy_case, tmp_path):
    write_volume(tmp_path / "none.nii", np.zeros((20, 16, 12), np.uint8), read_volume(toy_case[0]).grid)
    (patch,) = organ_patches([(toy_case[0], tmp_path / "none.nii")], toy_task, 1)
    assert patch.image.max() > 0.4
    assert not patch.truth.any()
