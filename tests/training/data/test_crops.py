import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from bedside.training.data.augment import build_augmentation
from bedside.training.data.crops import CropDataset, CropSource
from bedside.training.data.ignore_label import IGNORED
from bedside.training.data.prepared_case import PreparedCase, write_arrays
from bedside.training.data.soft_labels import SoftLabels, write_soft_labels
from bedside.training.recipe import Augmentation, Recipe
from torch.utils.data import DataLoader

STILL = Augmentation(flip=0, rotate=0, scale=0)
LIVELY = Augmentation(flip=0.5, rotate=0.5, scale=0.5, shift=0.5)


def crops(prepared, task, **options):
    recipe = Recipe(augmentation=options.pop("augmentation", STILL), **options)
    return CropDataset([CropSource(case) for case in prepared], task, recipe)


def test_a_crop_is_one_patch_of_image_and_label(prepared, small_task):
    item = crops(prepared, small_task)[0, 0]
    assert item["image"].shape == item["label"].shape == (1, 32, 64, 64)
    assert item["image"].dtype == torch.float32
    assert item["label"].dtype == torch.int64


def test_label_lies_on_the_bright_cube(prepared, small_task):
    item = crops(prepared, small_task, positive=1.0)[0, 0]
    assert item["label"].sum() == 12**3
    assert torch.equal(item["image"] > 0.7, item["label"] == 1)  # 200 HU is 0.8 of the range, the body 0.48


def test_every_case_is_visited_once_a_round(prepared, small_task):
    dataset = crops(prepared, small_task, positive=1.0)
    columns = [int(dataset[0, i]["image"].argmax() % 64) for i in range(4)]
    assert len(set(columns[:2])) == 2  # two cases, two places of the cube


def test_same_seed_epoch_and_index_give_the_same_crop(prepared, small_task):
    one, resumed = (crops(prepared, small_task, augmentation=Augmentation(flip=0.5, rotate=0.5)) for _ in range(2))
    before = [one[2, 4], one[3, 8]]
    assert torch.equal(one[3, 9]["image"], resumed[3, 9]["image"])
    assert not any(torch.equal(one[3, 9]["image"], other["image"]) for other in before)


def test_share_of_crops_centred_on_an_organ_follows_the_recipe(prepared, small_task):
    task = small_task.replaced(patch=(16, 16, 8))
    dataset = crops(prepared, task, positive=0.5)
    centred = sum(int(dataset[0, i]["label"][0, 4, 8, 8]) for i in range(200))
    assert 75 <= centred <= 125


def test_a_scan_smaller_than_the_patch_is_padded_with_air_and_background(prepared, small_task):
    item = crops(prepared, small_task.replaced(patch=(128, 128, 64)), positive=1.0)[0, 0]
    assert item["image"].shape == (1, 64, 128, 128)
    assert item["image"][0, 0].max() == 0
    assert item["label"].sum() == 12**3


def test_teacher_probabilities_are_cropped_with_the_image(prepared, small_task, tmp_path):
    sources = []
    for case in prepared:
        bright = (case.image() > 0.7).astype(np.float32)
        sources.append(CropSource(case, written(tmp_path / case.name, np.stack([1 - bright, bright]))))
    recipe = Recipe(positive=1.0, augmentation=Augmentation(flip=0.5, rotate=0.5, scale=0))
    for index in range(4):
        item = CropDataset(sources, small_task, recipe)[0, index]
        assert item["teacher"].dtype == torch.uint8
        assert torch.equal(item["teacher"][1], 255 * item["label"][0])
        assert (item["teacher"].sum(0) == 255).all()


@pytest.mark.parametrize(("share", "batch"), [(0.5, 2), (0.25, 4), (0.75, 4), (0.1, 10)])
def test_a_share_of_each_batch_has_no_labels(prepared, small_task, tmp_path, share, batch):
    labelled, other = (taught([case], tmp_path / case.name)[0] for case in prepared)
    dataset = CropDataset([labelled, without_labels(other, tmp_path)], small_task, Recipe(unlabelled=share))
    for start in range(0, 5 * batch, batch):
        crops = [dataset[1, start + place] for place in range(batch)]
        assert sum(bool((crop["label"] == IGNORED).all()) for crop in crops) == round(share * batch)


@pytest.mark.parametrize(("share", "crops"), [(0.5, 1), (0.5, 3), (0.1, 7), (0.1, 9), (0.9, 4), (0.001, 10)])
def test_epochs_too_short_for_the_share_have_it_together(prepared, small_task, tmp_path, share, crops):
    """Rounded down in each epoch, the share would be 0 in most of these."""
    labelled, other = taught(prepared, tmp_path)
    dataset = CropDataset([labelled, without_labels(other, tmp_path)], small_task, Recipe(unlabelled=share))
    epochs = 1000 if share * crops < 0.1 else 100
    drawn = [sum(dataset._source(epoch, item) for item in range(crops)) for epoch in range(epochs)]  # 1: without labels
    assert max(drawn) - min(drawn) <= 1
    assert np.mean(drawn) == pytest.approx(share * crops, rel=0.05)


def test_crops_without_labels_are_centred_on_the_organs_that_the_teacher_found(prepared, small_task, tmp_path):
    task = small_task.replaced(patch=(16, 16, 8))
    found = np.zeros(prepared[0].image().shape, np.float32)
    found[4:10, 6:12, 8:14] = 1
    labelled = taught(prepared[:1], tmp_path)[0]
    soft = written(tmp_path / "soft", np.stack([1 - found, found]), body=np.asarray(prepared[0].centres(0)))
    source = without_labels(CropSource(prepared[0], soft), tmp_path).around_soft_labels()
    dataset = CropDataset([labelled, source], task, Recipe(unlabelled=0.5, positive=1.0, augmentation=STILL))
    for item in (1, 3, 5):
        assert dataset[0, item]["teacher"][1, 4, 8, 8] == 255
    other = CropDataset([labelled, source], task, Recipe(unlabelled=0.5, positive=0.0, augmentation=STILL))
    assert any(other[0, item]["teacher"][1, 4, 8, 8] == 0 for item in range(1, 20, 2))


def test_pseudo_labels_are_the_teachers_most_probable_classes_of_the_very_crop(prepared, small_task, tmp_path):
    taught_sources = taught(prepared, tmp_path)
    sources = [CropSource(source.case, source.soft_labels, pseudo_labelled=True) for source in taught_sources]
    alone = [replace(source, imitated=False) for source in sources]
    recipe = Recipe(augmentation=Augmentation(flip=0.5, rotate=0.5, scale=0))
    for index in range(4):
        item = CropDataset(sources, small_task, recipe)[0, index]
        assert item["label"].dtype == torch.int64
        assert torch.equal(item["label"][0], item["teacher"].argmax(0))
        other = CropDataset(alone, small_task, recipe)[0, index]
        assert "teacher" not in other
        assert torch.equal(other["label"], item["label"])


def test_pseudo_labels_are_background_outside_the_volume(prepared, small_task, tmp_path):
    shape = prepared[0].image().shape
    soft = written(tmp_path / "soft", np.stack([np.zeros(shape, np.float32), np.ones(shape, np.float32)]))
    task = small_task.replaced(patch=tuple(2 * edge for edge in small_task.patch))
    recipe = Recipe(augmentation=STILL)
    item = CropDataset([CropSource(prepared[0], soft, imitated=False, pseudo_labelled=True)], task, recipe)[0, 0]
    assert item["label"].sum() == prepared[0].image().size
    assert set(item["label"].unique().tolist()) == {0, 1}


@pytest.mark.parametrize(("orientation", "axis"), [("RAS", -1), ("SRA", -2)])
@pytest.mark.parametrize("pseudo_labelled", [False, True])
def test_in_a_mirrored_crop_left_is_right_in_image_labels_and_teacher(
    prepared, small_task, tmp_path, orientation, axis, pseudo_labelled
):
    task = small_task.replaced(labels=("background", "ear L", "nose", "ear R"), orientation=orientation)
    sources = []
    for number, case in enumerate(prepared):
        random = np.random.default_rng(number).random((4, *case.image().shape), np.float32)
        soft = written(tmp_path / f"soft-{number}", random / random.sum(0))
        sources.append(CropSource(case, soft, pseudo_labelled=pseudo_labelled))
    still, mirrored, either = (
        CropDataset(sources, task, Recipe(augmentation=Augmentation(flip=0, rotate=0, scale=0, mirror=share)))
        for share in (0.0, 1.0, 0.5)
    )
    other = torch.tensor([0, 3, 2, 1])
    kinds = []
    for item in range(12):
        seen, expected = mirrored[0, item], {key: value.flip(axis) for key, value in still[0, item].items()}
        assert torch.equal(seen["image"], expected["image"])
        assert torch.equal(seen["label"], other[expected["label"]])
        assert torch.equal(seen["teacher"], expected["teacher"][other])
        kinds.append(torch.equal(either[0, item]["image"], seen["image"]))
    assert 2 < sum(kinds) < 10


def test_a_mirrored_crop_without_labels_has_none(prepared, small_task, tmp_path):
    labelled, other = taught(prepared, tmp_path)
    sources = [labelled, without_labels(other, tmp_path)]
    recipe = Recipe(unlabelled=0.5, augmentation=Augmentation(mirror=1.0))
    assert (CropDataset(sources, small_task, recipe)[0, 1]["label"] == IGNORED).all()


def written(folder, probabilities, **options):
    folder.mkdir(parents=True)
    write_soft_labels(folder, probabilities, **options)
    return SoftLabels.open(folder)


def without_labels(source, folder):
    """The same case, prepared without its label map."""
    case, path = source.case, folder / f"{source.case.name}-unlabelled"
    path.mkdir()
    body = np.zeros(case.image().shape, np.bool_)
    body.reshape(-1)[np.asarray(case.centres(0))] = True
    write_arrays(path, np.asarray(case.image()), None, body, case.spacing, (), case.task)
    return CropSource(PreparedCase.open(path), source.soft_labels)


def taught(prepared, folder):
    """The cases with teacher probabilities that tell every voxel from its neighbours."""
    sources = []
    for number, case in enumerate(prepared):
        first = np.random.default_rng(number).random(case.image().shape, np.float32)
        sources.append(CropSource(case, written(folder / f"soft-{number}", np.stack([first, 1 - first]))))
    return sources


def plain_crop(sources, task, recipe, epoch, item):
    """The crop computed the slow and obvious way: everything is padded and handed to MONAI's transforms."""
    rounds, place = divmod(item, len(sources))
    source = sources[np.random.default_rng((recipe.seed, epoch, rounds)).permutation(len(sources))[place]]
    case, rng = source.case, np.random.default_rng((recipe.seed, epoch, item, 1))
    label = 0
    if case.present and rng.random() < recipe.positive:
        sizes = np.array([1 if recipe.balance_classes else case.counts[label] for label in case.present])
        label = int(rng.choice(case.present, p=sizes / sizes.sum()))
    image = np.asarray(case.image())
    centre = np.unravel_index(int(rng.choice(np.asarray(case.centres(label)))), image.shape)
    padding, inside = [], []
    for middle, size, length in zip(centre, image.shape, task.patch.dhw, strict=True):
        missing = max(0, length - size)
        padding.append((missing // 2, missing - missing // 2))
        start = 0 if missing else min(max(int(middle) - length // 2, 0), size - length)
        inside.append(slice(start, start + length))

    def cut(array, outside):
        return torch.from_numpy(np.pad(np.asarray(array), padding, constant_values=outside)[tuple(inside)].copy())

    transform = build_augmentation(task, recipe.augmentation, ["image", "label", "teacher"])
    transform.set_random_state(seed=int(rng.integers(2**31)))
    teacher = source.soft_labels.arrays().whole()
    return transform(
        {
            "image": cut(image, task.intensity.air)[None],
            "label": cut(case.labels(), 0)[None].long(),
            "teacher": torch.stack([cut(teacher[0], 255), cut(teacher[1], 0)]).float(),
        }
    )


@pytest.mark.parametrize("patch", [(32, 32, 16), (64, 64, 48), (80, 48, 24)], ids=["inside", "padded", "oblong"])
def test_a_crop_is_bit_by_bit_what_monais_transforms_make_of_the_whole_arrays(prepared, small_task, tmp_path, patch):
    task, sources = small_task.replaced(patch=patch), taught(prepared, tmp_path)
    recipe = Recipe(augmentation=LIVELY, seed=11)
    dataset = CropDataset(sources, task, recipe)
    for item in range(8):
        expected = plain_crop(sources, task, recipe, 2, item)
        for key, value in dataset[2, item].items():
            assert value.is_contiguous()
            assert torch.equal(value, torch.as_tensor(expected[key]).to(value.dtype)), (item, key)


@pytest.mark.parametrize("workers", [1, 2])
def test_other_processes_draw_the_same_crops(prepared, small_task, tmp_path, workers):
    sources, recipe = taught(prepared, tmp_path), Recipe(augmentation=LIVELY)
    dataset = CropDataset(sources, small_task.replaced(patch=(16, 16, 16)), recipe)
    order = [(1, item) for item in range(7)]
    loaded = list(DataLoader(dataset, batch_size=2, sampler=order, num_workers=workers))
    assert len(loaded) == 4
    for item in range(7):
        batch = loaded[item // 2]
        for key, value in dataset[1, item].items():
            assert torch.equal(batch[key][item % 2], value)


def test_the_loss_of_half_precision_probabilities_is_that_of_the_same_numbers_in_single_precision():
    from bedside.distill import DistillationLoss

    logits, target = torch.randn(1, 3, 4, 4, 4), torch.randint(0, 3, (1, 1, 4, 4, 4))
    stored = torch.rand(1, 3, 4, 4, 4).softmax(1).half()
    outcomes = []
    for probabilities in (stored, stored.float()):
        given = logits.clone().requires_grad_()
        loss = DistillationLoss(0.5)(given, probabilities, target)
        loss.backward()
        outcomes.append((loss.dtype, loss.item(), given.grad))
    assert outcomes[0][:2] == outcomes[1][:2]
    assert torch.equal(outcomes[0][2], outcomes[1][2])


def test_open_files_are_left_behind_when_a_data_set_goes_to_another_process(prepared, small_task):
    dataset = crops(prepared, small_task, augmentation=LIVELY)
    first = dataset[0, 0]
    assert len(pickle.dumps(dataset)) < 100_000  # the image alone has 600,000
    there = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(there[0, 0]["image"], first["image"])
