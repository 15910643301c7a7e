import numpy as np
import torch
from bedside.training.crops import CropDataset, CropSource
from bedside.training.recipe import Augmentation, Recipe

STILL = Augmentation(flip=0, rotate=0, scale=0)


def crops(prepared, task, **options):
    keys = {"length": 12, "epoch": 0} | {
        key: options.pop(key) for key in ("length", "epoch", "start") if key in options
    }
    recipe = Recipe(augmentation=options.pop("augmentation", STILL), **options)
    return CropDataset([CropSource(case) for case in prepared], task, recipe, **keys)


def test_a_crop_is_one_patch_of_image_and_label(prepared, small_task):
    item = crops(prepared, small_task)[0]
    assert item["image"].shape == item["label"].shape == (1, 32, 64, 64)
    assert item["image"].dtype == torch.float32
    assert item["label"].dtype == torch.int64


def test_label_lies_on_the_bright_cube(prepared, small_task):
    item = crops(prepared, small_task, positive=1.0)[0]
    assert item["label"].sum() == 12**3
    assert torch.equal(item["image"] > 0.7, item["label"] == 1)  # 200 HU is 0.8 of the range, the body 0.48


def test_every_case_is_visited_once_a_round(prepared, small_task):
    dataset = crops(prepared, small_task, positive=1.0, length=4)
    columns = [int(dataset[i]["image"].argmax() % 64) for i in range(4)]
    assert len(set(columns[:2])) == 2  # two cases, two places of the cube


def test_same_seed_epoch_and_index_give_the_same_crop(prepared, small_task):
    one = crops(prepared, small_task, augmentation=Augmentation(flip=0.5, rotate=0.5), epoch=3)
    resumed = crops(prepared, small_task, augmentation=Augmentation(flip=0.5, rotate=0.5), epoch=3, start=5)
    assert len(resumed) == 7
    assert torch.equal(one[9]["image"], resumed[4]["image"])
    assert not torch.equal(one[9]["image"], one[8]["image"])


def test_share_of_crops_centred_on_an_organ_follows_the_recipe(prepared, small_task):
    task = small_task.replaced(patch=(16, 16, 8))
    dataset = crops(prepared, task, positive=0.5, length=200)
    centred = sum(int(dataset[i]["label"][0, 4, 8, 8]) for i in range(200))
    assert 75 <= centred <= 125


def test_a_scan_smaller_than_the_patch_is_padded_with_air_and_background(prepared, small_task):
    item = crops(prepared, small_task.replaced(patch=(128, 128, 64)), positive=1.0)[0]
    assert item["image"].shape == (1, 64, 128, 128)
    assert item["image"][0, 0].max() == 0
    assert item["label"].sum() == 12**3


def test_teacher_probabilities_are_cropped_with_the_image(prepared, small_task, tmp_path):
    sources = []
    for case in prepared:
        bright = (case.image() > 0.7).astype(np.float16)
        np.save(tmp_path / f"{case.name}.npy", np.stack([1 - bright, bright]))
        sources.append(CropSource(case, tmp_path / f"{case.name}.npy"))
    recipe = Recipe(positive=1.0, augmentation=Augmentation(flip=0.5, rotate=0.5, scale=0))
    for index in range(4):
        item = CropDataset(sources, small_task, recipe, length=4, epoch=0)[index]
        assert torch.equal(item["teacher"][1], item["label"][0].float())
        assert torch.equal(item["teacher"].sum(0), torch.ones(32, 64, 64))
