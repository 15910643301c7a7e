from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bedside.runtime.errors import InputError, UsageError
from bedside.training.data.dataset import list_dataset, load_dataset

LABELS = {"0": "background", "1": "liver", "2": "spleen"}


def touch(root: Path, *names: str) -> None:
    """Makes empty files: the readers look at lists and paths, `prepare` looks into the files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def write(root: Path, content: dict[str, Any], name: str = "dataset.json") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(content))
    return root / name


def decathlon(root: Path, cases: int = 2, **changes: Any) -> Path:
    names = [f"case_{n}.nii.gz" for n in range(cases)]
    touch(root, *(f"{folder}/{name}" for folder in ("imagesTr", "labelsTr") for name in names), "imagesTs/new.nii.gz")
    content = {
        "name": "Liver",
        "modality": {"0": "CT"},
        "labels": LABELS,
        "training": [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names],
        "test": ["./imagesTs/new.nii.gz"],
    }
    return write(root, {**content, **changes})


def nnunet(root: Path, cases: int = 2, **changes: Any) -> Path:
    for n in range(cases):
        touch(root, f"imagesTr/liver_{n:03d}_0000.nii.gz", f"labelsTr/liver_{n:03d}.nii.gz")
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    return write(root, {**content, **changes})


@pytest.mark.parametrize("labels", [LABELS, {name: int(value) for value, name in LABELS.items()}])
def test_decathlon_labels_are_read_either_way_round(tmp_path: Path, labels: dict[str, Any]) -> None:
    dataset = load_dataset(decathlon(tmp_path, labels=labels))
    assert dataset.labels == ("background", "liver", "spleen")
    assert [case.name for case in dataset.training] == ["case_0", "case_1"]
    assert dataset.training[0].label == tmp_path / "labelsTr" / "case_0.nii.gz"
    assert (dataset.test[0].name, dataset.test[0].label) == ("new", None)


def test_a_folder_stands_for_its_dataset_json(tmp_path: Path) -> None:
    assert load_dataset(decathlon(tmp_path).parent) == load_dataset(tmp_path / "dataset.json")


def test_background_need_not_be_listed(tmp_path: Path) -> None:
    assert load_dataset(decathlon(tmp_path, labels={"1": "liver"})).labels == ("background", "liver")


BACKGROUNDS = ["bg", "BG", "Background", "back_ground", "_background_", "unlabelled", "Unlabeled", "Clear Label"]


@pytest.mark.parametrize("word", BACKGROUNDS)
def test_usual_words_for_background_are_taken_as_it(tmp_path: Path, word: str) -> None:
    found = list_dataset(decathlon(tmp_path, labels={word: 0, "liver": 1}))
    assert found.dataset.labels == ("background", "liver")
    assert found.notes == (() if word == "Background" else (f'label 0, "{word}", is taken as background',))


def test_another_label_0_is_refused_with_advice_that_renumbers_nothing_needlessly(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='got "rest"; rename label 0 to background if 0 means outside'):
        load_dataset(decathlon(tmp_path, labels={"rest": 0, "liver": 1}))


def test_nnunet_folder_is_paired_by_case(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTs/liver_100_0000.nii.gz", "labelsTs/liver_100.nii.gz", "imagesTr/._liver_000_0000.nii.gz")
    dataset = load_dataset(nnunet(tmp_path / "."))
    assert [case.name for case in dataset.training] == ["liver_000", "liver_001"]
    assert dataset.training[1].image.name == "liver_001_0000.nii.gz"
    assert dataset.test[0].label == tmp_path / "labelsTs" / "liver_100.nii.gz"


def test_nnunet_dataset_key_lists_files_elsewhere(tmp_path: Path) -> None:
    touch(tmp_path, "scans/a.nii.gz", "truth/a.nii.gz")
    files = {"patient_a": {"images": ["scans/a.nii.gz"], "label": "truth/a.nii.gz"}}
    assert load_dataset(nnunet(tmp_path, cases=0, dataset=files)).training[0].name == "patient_a"


def test_a_case_name_that_is_a_path_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "b.nii.gz")
    files = {"../out": {"images": ["a.nii.gz"], "label": "b.nii.gz"}}
    with pytest.raises(InputError, match="case name becomes part of file names"):
        load_dataset(nnunet(tmp_path, cases=0, dataset=files))


def test_monai_list_keeps_folds_and_takes_absolute_paths(tmp_path: Path) -> None:
    touch(tmp_path, "a/ct.nii.gz", "a/seg.nii.gz", "b/ct.nii.gz", "b/seg.nii.gz")
    entries = [
        {"image": "../a/ct.nii.gz", "label": "../a/seg.nii.gz", "fold": 0},
        {"image": [str(tmp_path / "b/ct.nii.gz")], "label": str(tmp_path / "b/seg.nii.gz"), "fold": 1},
    ]
    file = write(tmp_path / "lists", {"training": entries, "testing": [{"image": "../a/ct.nii.gz"}]}, "list.json")
    dataset = load_dataset(file, labels=("background", "liver"))
    assert dataset.labels == ("background", "liver")
    # both files are called ct.nii.gz: the folder tells them apart
    assert [case.name for case in dataset.training] == ["a_ct", "b_ct"]
    split = dataset.split(fold=1)
    assert ([case.name for case in split.training], [case.name for case in split.validation]) == (["a_ct"], ["b_ct"])
    with pytest.raises(UsageError, match="fold 7"):
        dataset.split(fold=7)


def test_a_list_without_labels_asks_for_them(tmp_path: Path) -> None:
    touch(tmp_path, "ct.nii.gz", "seg.nii.gz")
    file = write(tmp_path, {"training": [{"image": "ct.nii.gz", "label": "seg.nii.gz"}]})
    with pytest.raises(InputError, match="names no labels"):
        load_dataset(file)


def test_one_scan_may_train_and_validate(real_data: Path) -> None:
    dataset = load_dataset(real_data)
    assert dataset.training == dataset.validation
    assert dataset.training[0].name == "abdomen_ct"
    assert (len(dataset.labels), dataset.labels[6]) == (14, "liver")
    assert dataset.test[0].label is None


@pytest.mark.parametrize(
    ("lists", "got"),
    [
        (("training", "validation"), '"one.nii.gz" (training) and "two.nii.gz" (validation)'),
        (("training", "test"), '"one.nii.gz" (training) and "two.nii.gz" (test)'),
        (("validation", "testing"), '"one.nii.gz" (validation) and "two.nii.gz" (test)'),
    ],
)
def test_a_scan_with_another_label_map_in_another_list_is_refused(
    tmp_path: Path, lists: tuple[str, str], got: str
) -> None:
    touch(tmp_path, "a.nii.gz", "one.nii.gz", "two.nii.gz")
    entries = [{"image": "a.nii.gz", "label": f"{label}.nii.gz"} for label in ("one", "two")]
    content = {"labels": LABELS, "training": [], **{name: [entry] for name, entry in zip(lists, entries, strict=True)}}
    with pytest.raises(InputError) as caught:
        load_dataset(write(tmp_path, content))
    assert f'1 broken: "a": expected one label map, got {got}; list the scan with one of them' in str(caught.value)


def test_a_test_scan_without_a_label_map_may_be_a_training_scan(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "one.nii.gz")
    entry = {"image": "a.nii.gz", "label": "one.nii.gz"}
    dataset = load_dataset(write(tmp_path, {"labels": LABELS, "training": [entry], "test": ["a.nii.gz"]}))
    assert (dataset.training[0].name, dataset.test[0].name, dataset.test[0].label) == ("a", "a", None)


def test_all_broken_cases_are_named_up_to_five_and_the_rest_counted(tmp_path: Path) -> None:
    file = decathlon(tmp_path, cases=8)
    for n in range(7):
        (tmp_path / "labelsTr" / f"case_{n}.nii.gz").unlink()
    with pytest.raises(InputError) as caught:
        load_dataset(file)
    message = str(caught.value)
    assert '7 broken: "case_0": label map "case_0.nii.gz" does not exist' in message
    assert '"case_4"' in message
    assert '"case_5"' not in message
    assert message.endswith("… and 2 more")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"image": "imagesTr/case_0.nii.gz"}, '"case_0": no label map'),
        ("imagesTr/case_0.nii.gz", '"case_0": no label map'),
        ({"image": "imagesTr/none.nii.gz", "label": "labelsTr/case_0.nii.gz"}, '"none": image .* does not exist'),
        ({"image": "../case_9.nii.gz", "label": "labelsTr/case_0.nii.gz"}, "leaves the data set's folder"),
        ({"image": "/etc/case_9.nii.gz", "label": "labelsTr/case_0.nii.gz"}, "leaves the data set's folder"),
        ({"image": "imagesTr", "label": "labelsTr/case_0.nii.gz"}, "neither .nii nor .nii.gz"),
        ({"image": ["imagesTr/case_0.nii.gz", "imagesTr/case_1.nii.gz"], "label": "labelsTr/case_0.nii.gz"}, "got 2"),
        ({"label": "labelsTr/case_0.nii.gz"}, "image"),
        ({"image": 7, "label": "x"}, "int"),
    ],
)
def test_a_broken_entry_is_refused_with_its_name_and_reason(tmp_path: Path, entry: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load_dataset(decathlon(tmp_path, training=[entry]))


def test_a_case_listed_twice_is_refused(tmp_path: Path) -> None:
    entry = {"image": "imagesTr/case_0.nii.gz", "label": "labelsTr/case_0.nii.gz"}
    with pytest.raises(InputError, match='"case_0": listed 2 times'):
        load_dataset(decathlon(tmp_path, training=[entry, entry]))


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"0": "background", "1": "liver", "3": "spleen"}, "without gaps"),
        ({"0": "liver", "1": "spleen"}, 'label 0 to be "background"'),
        ({"0": "background", "1": "liver", "2": "liver"}, "each name once"),
        ({"0": "background"}, "at least one label"),
        ({"background": 0, "liver": 1, "other": 1}, "label value 1 has the names"),
        ({"background": 0, "whole": [1, 2], "core": 2}, "region of several values"),
        ({"background": 0, "ignore": 1, "liver": 2}, "got 1 where the highest other one is 2"),
        ({"background": 0, "liver": 1, "ignore": 70_000}, "at most 65535, got 70000"),
        ({"0": "background", "1": "liver", "2": "ignore", "3": "Ignore"}, "expected one label .* got 2 and 3"),
        ({"background": 0, "liver": True}, "expected labels as"),
    ],
)
def test_labels_that_cannot_be_network_outputs_are_refused(tmp_path: Path, labels: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load_dataset(decathlon(tmp_path, labels=labels))


@pytest.mark.parametrize("value", [2, 255])
def test_the_ignore_label_is_no_class_and_its_value_stays_with_the_cases(tmp_path: Path, value: int) -> None:
    dataset = load_dataset(nnunet(tmp_path, labels={"background": 0, "liver": 1, "ignore": value}))
    assert dataset.labels == ("background", "liver")
    assert dataset.ignore == value
    assert {case.ignore for case in dataset.training} == {value}


def test_an_ignore_label_alone_in_a_list_lies_above_the_tasks_labels(tmp_path: Path) -> None:
    task = ("background", "liver", "spleen")
    assert load_dataset(decathlon(tmp_path / "above", labels={"ignore": 3}), labels=task).ignore == 3
    with pytest.raises(InputError, match="got 2 where the highest other one is 2"):
        load_dataset(decathlon(tmp_path / "one of them", labels={"ignore": 2}), labels=task)


def test_without_an_ignore_label_no_value_is_ignored(tmp_path: Path) -> None:
    assert load_dataset(nnunet(tmp_path)).ignore is None


def test_several_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'got 2 in "modality" \(T1, T2\); bedside reads one'):
        load_dataset(decathlon(tmp_path / "msd", modality={"0": "T1", "1": "T2"}))
    with pytest.raises(InputError, match="one image channel, got 2"):
        load_dataset(nnunet(tmp_path / "nnunet", channel_names={"0": "T1", "1": "T2"}))


def test_nnunet_cases_without_a_partner_are_named(tmp_path: Path) -> None:
    file = nnunet(tmp_path)
    touch(tmp_path, "imagesTr/alone_0000.nii.gz", "labelsTr/lonely.nii.gz")
    with pytest.raises(InputError, match=r'2 broken: "alone": label map .*; "lonely": image'):
        load_dataset(file)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"labels": {}}', '{"training": 3}', "\xff"])
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"data set dataset\.json"):
        load_dataset(tmp_path)


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found none"):
        load_dataset(tmp_path / "nowhere")


def test_split_is_decided_by_the_seed_and_takes_every_case_once(tmp_path: Path) -> None:
    dataset = load_dataset(decathlon(tmp_path, cases=10))
    split = dataset.split(fraction=0.3, seed=1)
    assert (len(split.training), len(split.validation)) == (7, 3)
    assert sorted(c.name for c in (*split.training, *split.validation)) == [c.name for c in dataset.training]
    assert split == dataset.split(fraction=0.3, seed=1)
    assert len({dataset.split(fraction=0.3, seed=seed).validation for seed in range(5)}) > 1
    with pytest.raises(UsageError, match="already has 3 validation cases"):
        split.split()


def test_split_needs_two_cases_and_a_fraction_between_0_and_1(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected two training cases or more to set one apart, got 1"):
        load_dataset(decathlon(tmp_path / "one", cases=1)).split()
    with pytest.raises(UsageError, match="fraction"):
        load_dataset(decathlon(tmp_path / "two")).split(fraction=1.0)
