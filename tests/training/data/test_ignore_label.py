"""Voxels with the ignore label: kept apart from reading to the crops, and told by `check_dataset`."""

import json

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.training.data.case_cache import case_key
from bedside.training.data.case_digest import CaseDigest, data_hash
from bedside.training.data.crops import CropDataset, CropSource
from bedside.training.data.dataset import Case, Dataset, load_dataset
from bedside.training.data.dataset_check import check_dataset
from bedside.training.data.ignore_label import IGNORED
from bedside.training.data.prepare import check_labels, prepare_cases
from bedside.training.recipe import Augmentation, Recipe

SHAPE = (24, 20, 16)
CUBE, UNKNOWN = (slice(10, 14), slice(8, 12), slice(6, 10)), (slice(10, 14), slice(12, 16), slice(6, 10))


def label_map(value):
    """A cube of label 1, and beside it as many voxels of another value."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[CUBE], labels[UNKNOWN] = 1, value
    return labels


@pytest.fixture
def task(small_task):
    return small_task.replaced(patch=(16, 16, 16))


@pytest.fixture
def folder(tmp_path):
    """Writes nnU-Net data sets of one case with a label map."""

    def write(labels, ignore):
        image = np.full(SHAPE, -1000, np.int16)
        image[3:21, 3:18] = 40
        image[CUBE] = 200
        for name, data in (("imagesTr/case_0000", image), ("labelsTr/case", labels)):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            write_volume(tmp_path / f"{name}.nii.gz", data, Grid(SHAPE, np.diag([4.0, 4.0, 4.0, 1.0])))
        names = {"background": 0, "cube": 1, "ignore": ignore}
        content = {"channel_names": {"0": "CT"}, "labels": names, "file_ending": ".nii.gz"}
        (tmp_path / "dataset.json").write_text(json.dumps(content))
        return tmp_path

    return write


def prepared(dataset, task, folder):
    (case,) = prepare_cases(dataset.training, task, folder / "cases")
    return case


@pytest.mark.parametrize("value", [2, 255])
def test_ignored_voxels_are_no_label_of_the_prepared_case(folder, task, tmp_path, value):
    case = prepared(load_dataset(folder(label_map(value), value)), task, tmp_path)
    expected = label_map(0).astype(np.uint16)
    expected[UNKNOWN] = IGNORED
    assert (case.labels() == expected.T).all()
    assert (case.ignored, case.present, case.counts[1]) == (64, (1,), 64)
    assert case.counts[0] + case.counts[1] + case.ignored == np.prod(SHAPE)
    assert (case.ignored_voxels() == (expected.T == IGNORED)).all()
    assert (case.organs() == label_map(0).T).all()


def test_no_crop_is_centred_on_an_ignored_voxel(folder, task, tmp_path):
    case = prepared(load_dataset(folder(label_map(2), 2)), task, tmp_path)
    flat = np.asarray(case.labels()).ravel()
    assert set(flat[case.all_centres()]) == {0, 1}


def test_a_crops_target_says_which_voxels_are_ignored(folder, task, tmp_path):
    case = prepared(load_dataset(folder(label_map(2), 2)), task, tmp_path)
    recipe = Recipe(positive=1.0, augmentation=Augmentation(flip=0, rotate=0, scale=0))
    label = CropDataset([CropSource(case)], task, recipe)[0, 0]["label"]
    assert sorted(label.unique().tolist()) == [0, 1, IGNORED]


def test_a_case_without_ignored_voxels_is_stored_as_ever(folder, task, tmp_path):
    case = prepared(load_dataset(folder(label_map(0), 2)), task, tmp_path)
    assert (case.ignored, case.ignored_voxels(), case.labels().dtype) == (0, None, np.uint8)


def test_a_label_beside_the_ignore_label_is_refused_as_ever(folder, task, tmp_path):
    dataset = load_dataset(folder(label_map(2), 3))
    with pytest.raises(InputError, match="expected labels 0…1, got 2;"):
        prepared(dataset, task, tmp_path)


def test_another_ignore_label_makes_another_prepared_case_and_other_data(small_task, tmp_path):
    without, with_2 = CaseDigest("a" * 64, "b" * 64, ()), CaseDigest("a" * 64, "b" * 64, (), 2)
    assert case_key(without, small_task) != case_key(with_2, small_task)
    case = Case("case", tmp_path / "case.nii.gz")
    assert data_hash([case], [without]) != data_hash([case], [with_2])


def test_a_task_that_names_the_ignore_label_as_a_class_is_refused_in_these_words(task, tmp_path):
    case = Case("case", tmp_path / "a.nii", tmp_path / "b.nii", ignore=2)
    dataset = Dataset("cubes", ("background", "cube"), (case,), (), (), tmp_path)
    with pytest.raises(
        InputError, match=r'label 2 is the ignore label .* remove "ignore" from the labels of task "cube"'
    ):
        check_labels(dataset, task.replaced(labels=("background", "cube", "ignore")))


def test_the_check_says_what_share_is_ignored_and_that_is_no_warning(folder, task):
    found = check_dataset(folder(label_map(2), 2), task)
    assert (found.ignore.value, found.ignore.cases) == (2, 1)
    assert found.ignore.share == pytest.approx(64 / np.prod(SHAPE))
    assert found.cases[0].facts.volumes_ml == {1: pytest.approx(64 * 0.064)}
    assert [label.name for label in found.labels] == ["cube"]
    assert found.exit_code == 0


@pytest.mark.parametrize(
    ("labels", "warning"),
    [
        (np.where(label_map(2) == 1, 0, label_map(2)), "the label map is empty: nothing is marked in this scan"),
        (np.full(SHAPE, 2), "the whole label map is ignored: nothing can be learned from this scan"),
    ],
)
def test_a_label_map_that_marks_nothing_beside_what_it_ignores_is_told(folder, task, labels, warning):
    found = check_dataset(folder(labels.astype(np.uint8), 2), task)
    assert found.cases[0].warnings == (warning,)
    assert found.exit_code == 6
