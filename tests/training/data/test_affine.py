"""Crops are rotated and zoomed as a person would compute it, labels with their image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bedside.runtime.axes import XYZ
from bedside.runtime.task_presets import load_task
from bedside.training.data.affine import LARGEST_ANGLE, LARGEST_ZOOM, SmallAffine
from bedside.training.data.crops import CropDataset, CropSource
from bedside.training.data.dataset import load_dataset
from bedside.training.data.prepare import prepare_cases
from bedside.training.phantoms.phantom import write_phantoms
from bedside.training.recipe import Augmentation, Recipe
from scipy.ndimage import affine_transform

CUBE = (24.0, 24.0, 24.0)


def random_crop(shape=(12, 10, 8)) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    return {
        "image": torch.from_numpy(rng.random((1, *shape), np.float32)),
        "label": torch.from_numpy(rng.integers(0, 3, (1, *shape))),
        "teacher": torch.from_numpy(rng.integers(0, 256, (3, *shape)).astype(np.uint8)),
    }


def test_no_angle_and_no_zoom_change_nothing():
    crop = random_crop()
    same = SmallAffine.of(np.zeros(3), 1.0, CUBE)(crop)
    assert torch.allclose(same["image"], crop["image"], atol=1e-5)
    assert torch.equal(same["label"], crop["label"])
    assert torch.equal(same["teacher"], crop["teacher"])
    assert {name: array.dtype for name, array in same.items()} == {name: array.dtype for name, array in crop.items()}


def test_a_quarter_turn_about_z_is_numpys():
    crop = random_crop((6, 9, 9))
    turned = SmallAffine.of(np.array([0, 0, np.pi / 2]), 1.0, (9.0, 9.0, 6.0))(crop)
    for name, array in crop.items():
        assert torch.allclose(turned[name].float(), torch.rot90(array, 1, (2, 3)).float(), atol=1e-4), name


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.0, 2.0, 4.0)])
def test_a_rotation_and_zoom_are_those_of_scipy_in_millimetres(spacing):
    x, y, z = spacing
    shape, angles, zoom = (16, 18, 20), np.radians([7.0, -11.0, 13.0]), 1.15
    rng = np.random.default_rng(1)
    image = rng.random(shape, np.float32)
    extent = (20 * x, 18 * y, 16 * z)
    affine = SmallAffine.of(angles, zoom, extent)
    own = affine({"image": torch.from_numpy(image[None])})["image"][0].numpy()

    def turn(axis, angle):
        c, s = np.cos(angle), np.sin(angle)
        return np.array({0: [[1, 0, 0], [0, c, -s], [0, s, c]], 1: [[c, 0, -s], [0, 1, 0], [s, 0, c]],
                         2: [[c, -s, 0], [s, c, 0], [0, 0, 1]]}[axis])  # fmt: skip

    rotation = turn(2, angles[2]) @ turn(1, angles[1]) @ turn(0, angles[0]) / zoom  # of x, y, z in mm
    steps = np.diag(spacing)
    of_voxels = (np.linalg.inv(steps) @ rotation @ steps)[::-1, ::-1]  # of z, y, x in voxels
    centre = (np.array(shape) - 1) / 2
    expected = affine_transform(image, of_voxels, centre - of_voxels @ centre, order=1, mode="nearest")
    inner = (slice(5, -5),) * 3
    assert np.allclose(own[inner], expected[inner], atol=1e-3)


def test_a_zoom_above_one_makes_the_middle_larger():
    label = torch.zeros((1, 20, 20, 20), dtype=torch.int64)
    label[:, 5:15, 5:15, 5:15] = 1
    crop = {"image": label.float(), "label": label}
    larger = SmallAffine.of(np.zeros(3), 1.2, CUBE)(crop)["label"]
    assert int(larger.sum()) == 12**3


def test_labels_go_where_their_image_goes():
    label = torch.zeros((1, 24, 24, 24), dtype=torch.int64)
    label[:, 6:14, 8:20, 4:12] = 2
    moved = SmallAffine.draw(np.random.default_rng(3), CUBE)({"image": label.float(), "label": label})
    assert not torch.equal(moved["label"], label)
    agree = (moved["image"] > 1) == (moved["label"] == 2)
    assert agree.float().mean() > 0.99


def test_angles_and_zooms_stay_within_their_bounds():
    drawn = [SmallAffine.draw(np.random.default_rng(seed), CUBE).theta[:, :3] for seed in range(200)]
    zooms = np.array([1 / np.cbrt(np.linalg.det(matrix)) for matrix in drawn])
    assert zooms.min() >= 1 / LARGEST_ZOOM - 1e-9
    assert zooms.max() <= LARGEST_ZOOM + 1e-9
    assert zooms.std() > 0.05
    traces = np.array([np.trace(matrix) for matrix in drawn]) * zooms
    turns = np.degrees(np.arccos((traces - 1) / 2))
    assert turns.max() <= LARGEST_ANGLE * np.sqrt(3) + 1
    assert turns.mean() > 5


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder / "data", 3, seed=0)
    task = load_task("btcv").replaced(spacing=(8.0, 8.0, 8.0), patch=XYZ(24, 24, 24))
    dataset = load_dataset(folder / "data", labels=task.labels)
    return task, [CropSource(case) for case in prepare_cases(dataset.training, task, folder / "cases")]


def test_a_crop_depends_on_its_key_alone_and_the_others_stay_as_without(source):
    task, sources = source

    def crops(probability):
        augmentation = Augmentation(flip=0, rotate=0, scale=0, affine=probability)
        return CropDataset(sources, task, Recipe(augmentation=augmentation))

    keys = [(0, item) for item in range(8)]
    plain, some, again = ([crops(probability)[key] for key in keys] for probability in (0.0, 0.5, 0.5))
    changed = [not torch.equal(a["image"], b["image"]) for a, b in zip(plain, some, strict=True)]
    assert 0 < sum(changed) < len(keys)
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(some, again, strict=True))
