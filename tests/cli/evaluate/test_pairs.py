"""Which files are compared, and by which names of labels."""

import json

import numpy as np
import pytest
from bedside.cli.evaluate.pairs import find_pairs, label_names
from bedside.runtime import Grid, InputError, UsageError, load_task, write_volume


@pytest.fixture
def folders(tmp_path):
    """Label maps of two cases, as predictions and as truth."""
    for folder in ("p", "t"):
        (tmp_path / folder).mkdir()
        for name in ("a.nii", "b.nii"):
            write_volume(tmp_path / folder / name, np.ones((4, 4, 4), np.uint8), Grid((4, 4, 4), np.eye(4)))
    return tmp_path / "p", tmp_path / "t"


def test_names_come_from_the_option_or_from_the_task():
    assert label_names(None, None) is None
    assert label_names(None, " liver, spleen") == ("background", "liver", "spleen")
    assert label_names("btcv", None) == load_task("btcv").labels


@pytest.mark.parametrize("labels", ["background,liver,spleen", "liver,Background"])
def test_the_background_is_no_label_to_be_named(labels):
    """It would be taken for the name of label 1."""
    with pytest.raises(UsageError, match='--labels names the labels from 1 on: leave "background", label 0, out'):
        label_names(None, labels)


@pytest.mark.parametrize("labels", ["", "liver,", "liver,spleen, liver"])
def test_an_empty_or_repeated_name_is_refused(labels):
    with pytest.raises(UsageError, match="--labels takes each name once"):
        label_names(None, labels)


def test_a_name_that_the_locale_could_not_decode_is_read_as_utf8():
    given = "Fett…,Knochen".encode().decode("ascii", "surrogateescape")  # as Python reads arguments in the C locale
    assert label_names(None, given) == ("background", "Fett…", "Knochen")


def test_folders_are_paired_by_name_and_every_pair_has_the_ignore_label(folders):
    found = find_pairs(*folders, None, None, None, ignore_label=9)
    assert [(pair.name, pair.truth.name, pair.ignore) for pair in found.pairs] == [("a", "a.nii", 9), ("b", "b.nii", 9)]
    assert (found.labels, found.list_name) == (None, None)


def test_two_files_are_one_pair(folders):
    predictions, truths = folders
    (pair,) = find_pairs(predictions / "a.nii", truths / "b.nii", None, None, None).pairs
    assert (pair.prediction, pair.truth, pair.ignore) == (predictions / "a.nii", truths / "b.nii", None)


def test_the_truth_names_the_case_of_two_files_so_that_two_models_share_it(folders):
    predictions, truths = folders
    names = {
        pair.name
        for prediction in ("a.nii", "b.nii")
        for pair in find_pairs(predictions / prediction, truths / "b.nii", None, None, None).pairs
    }
    assert names == {"b"}


def test_a_list_is_refused_where_the_truth_is_no_data_set(folders):
    predictions, truths = folders
    for pair in (folders, (predictions / "a.nii", truths / "a.nii")):
        with pytest.raises(UsageError, match="--list goes with a data set"):
            find_pairs(*pair, None, "training", None)


@pytest.fixture
def dataset(folders):
    """A data set that calls label 1 fat and label 2 bone, with the two cases in its test list."""
    entries = [{"image": f"t/{name}.nii", "label": f"t/{name}.nii"} for name in "ab"]
    listing = {"labels": {"0": "background", "1": "fat", "2": "bone"}, "training": [], "test": entries}
    (folders[0].parent / "dataset.json").write_text(json.dumps(listing))
    return folders[0].parent


def test_names_that_a_data_set_gives_to_other_labels_are_refused(folders, dataset):
    with pytest.raises(InputError, match=r'label 1 is "fat" in data set .* but "bone" in --labels or --task; leave'):
        find_pairs(folders[0], dataset, None, None, label_names(None, "bone,fat"))
    with pytest.raises(InputError, match=r'label 1 is "fat" in data set .* but "spleen" in --labels or --task'):
        find_pairs(folders[0], None, dataset, None, label_names("btcv", None))


def test_the_names_of_a_data_set_may_be_given_again(folders, dataset):
    given = find_pairs(folders[0], dataset, None, None, label_names(None, "fat,bone"))
    assert given.labels == find_pairs(folders[0], dataset, None, None, None).labels == ("background", "fat", "bone")


def test_names_given_for_files_and_folders_are_the_names_of_their_labels(folders):
    assert find_pairs(*folders, None, None, ("background", "fat")).labels == ("background", "fat")


@pytest.mark.parametrize("copied", [[0], [1], [0, 1]])
def test_folders_of_label_maps_are_such_for_all_the_json_that_nnunet_copies_there(folders, dataset, copied):
    for folder in (folders[number] for number in copied):
        (folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "CT"}, "labels": {"background": 0}}))
        (folder / "plans.json").write_text("{}")
    for truth, listed in ((folders[1], None), (None, dataset)):
        assert [pair.name for pair in find_pairs(folders[0], truth, listed, None, None).pairs] == ["a", "b"]


@pytest.mark.parametrize("listed", ["dataset", "training"])
def test_a_list_beside_the_predictions_may_name_the_cases_of_the_training(folders, listed):
    case = {"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}
    named = {"dataset": {"a": {"images": [case["image"]], "label": case["label"]}}, "training": [case]}[listed]
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0}, listed: named}
    (folders[0] / "dataset.json").write_text(json.dumps(content))
    assert [pair.name for pair in find_pairs(*folders, None, None, None).pairs] == ["a", "b"]


def test_a_data_set_is_no_prediction(folders, dataset):
    for path in (dataset, dataset / "dataset.json"):
        with pytest.raises(UsageError, match="is a data set; -p takes the predictions, -t the truth"):
            find_pairs(path, folders[1], None, None, None)


@pytest.mark.parametrize("missing", ["prediction", "truth"])
def test_what_does_not_exist_is_named_by_its_role(folders, tmp_path, missing):
    paths = dict(zip(("prediction", "truth"), folders, strict=True)) | {missing: tmp_path / "gone"}
    with pytest.raises(InputError, match=f'evaluate: {missing} ".*gone" does not exist'):
        find_pairs(paths["prediction"], paths["truth"], None, None, None)
