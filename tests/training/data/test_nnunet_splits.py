"""nnU-Net's splits_final.json: a fold's cases, where the file is looked for, and what is refused."""

import codecs
import json

import pytest
from bedside.runtime.errors import InputError, UsageError
from bedside.training.data.dataset import load_dataset
from bedside.training.data.dataset_check import check_dataset
from bedside.training.data.nnunet_splits import unused_splits

NAMES = ("a", "b", "c", "d")
SPLITS = [{"train": ["a", "b"], "val": ["c"]}, {"train": ["c", "b"], "val": ["a"]}]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)


@pytest.fixture
def folder(tmp_path):
    """An nnU-Net folder of four cases, Dataset001 in nnUNet_raw; no splits yet."""
    root = tmp_path / "nnUNet_raw" / "Dataset001"
    for name in NAMES:
        for file in (root / "imagesTr" / f"{name}_0000.nii.gz", root / "labelsTr" / f"{name}.nii.gz"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"")
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def write(folder, splits=SPLITS):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "splits_final.json").write_text(json.dumps(splits))


def names(cases):
    return [case.name for case in cases]


def test_a_fold_trains_and_validates_as_the_file_says_and_leaves_other_cases_out(folder):
    write(folder)
    split = load_dataset(folder).split(fold=0)
    assert (names(split.training), names(split.validation), split.fold) == (["a", "b"], ["c"], 0)
    assert names(split.left_out) == ["d"]
    assert names(load_dataset(folder).split(fold=1).validation) == ["a"]


@pytest.mark.parametrize("by", ["environment", "neighbour"])
def test_the_file_is_found_in_the_preprocessed_folder(folder, tmp_path, monkeypatch, by):
    preprocessed = tmp_path / ("elsewhere" if by == "environment" else "nnUNet_preprocessed")
    write(preprocessed / "Dataset001")
    if by == "environment":
        monkeypatch.setenv("nnUNet_preprocessed", str(preprocessed))
    assert names(load_dataset(folder).split(fold=0).validation) == ["c"]


def test_two_files_that_differ_are_refused_and_two_copies_are_not(folder, tmp_path):
    write(folder)
    write(tmp_path / "nnUNet_preprocessed" / "Dataset001")
    assert names(load_dataset(folder).split(fold=0).validation) == ["c"]
    write(folder, SPLITS[:1])
    with pytest.raises(InputError, match=r"found two splits_final\.json that differ"):
        load_dataset(folder).split(fold=0)


def test_a_byte_order_mark_is_read_past(folder):
    (folder / "splits_final.json").write_bytes(codecs.BOM_UTF8 + json.dumps(SPLITS).encode())
    assert names(load_dataset(folder).split(fold=0).validation) == ["c"]


def test_a_fold_out_of_range_is_refused_with_the_range(folder):
    write(folder)
    with pytest.raises(UsageError, match=r"--fold: splits_final\.json has the folds 0…1, got 2"):
        load_dataset(folder).split(fold=2)


def test_cases_that_the_data_set_lacks_are_named(folder):
    write(folder, [{"train": ["a", "x", "y"], "val": ["c"]}])
    with pytest.raises(InputError, match=r"fold 0, train: 2 of 3 cases are not among .* training cases: x, y"):
        load_dataset(folder).split(fold=0)


@pytest.mark.parametrize(
    ("splits", "reason"),
    [
        ({}, "expected a list of folds"),
        ([], "at least one fold"),
        ([{"train": ["a"]}], "expected a list of folds .*`val`"),
        ([{"train": ["a"], "val": []}], "cases under train and val, got 1 and 0"),
        ([{"train": ["a", "b"], "val": ["b"]}], "both trains on and validates on b"),
    ],
)
def test_a_file_that_is_no_splits_file_is_refused(folder, splits, reason):
    write(folder, splits)
    with pytest.raises(InputError, match=rf"splits_final\.json: .*{reason}"):
        load_dataset(folder).split(fold=0)


def test_folds_of_the_list_itself_come_first(folder):
    write(folder)
    entries = [{"image": f"imagesTr/{n}_0000.nii.gz", "label": f"labelsTr/{n}.nii.gz", "fold": n == "d"} for n in NAMES]
    entries = [{**entry, "fold": int(entry["fold"])} for entry in entries]
    (folder / "list.json").write_text(json.dumps({"labels": ["background", "liver"], "training": entries}))
    assert names(load_dataset(folder / "list.json").split(fold=1).validation) == ["d"]


def test_without_folds_the_message_says_where_they_were_looked_for(folder):
    with pytest.raises(UsageError, match=r'it has no "fold" in its list, and no splits_final\.json beside it'):
        load_dataset(folder).split(fold=0)


def test_a_file_that_nobody_asked_for_is_told(folder):
    assert unused_splits(load_dataset(folder)) is None
    write(folder)
    expected = "splits_final.json with 2 folds exists and is not used; --fold 0…1 trains and validates as it says"
    assert unused_splits(load_dataset(folder)) == expected


def test_a_broken_file_that_nobody_asked_for_stops_nothing_and_no_case_is_named_for_it(folder):
    write(folder, [{"train": ["a", "anna"], "val": ["anna"]}])
    said = unused_splits(load_dataset(folder))
    assert "cannot be used; it is not needed without --fold" in said
    assert "anna" not in said


def test_dataset_check_shows_the_lists_of_a_fold(folder):
    write(folder)
    found = check_dataset(folder, None, fold=1)
    assert {case.name: case.lists for case in found.cases} == {
        "b": ("training",), "c": ("training",), "a": ("validation",),
    }  # fmt: skip
    assert found.notes == ()
    assert check_dataset(folder, None).notes == (unused_splits(load_dataset(folder)),)
