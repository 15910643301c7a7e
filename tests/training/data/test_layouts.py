"""Layouts of data sets as people have them: each is read right, or refused by name."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.task import Modality
from bedside.training.data.dataset import Dataset, list_dataset, load_dataset
from bedside.training.data.formats.modality import modality_of

NNUNET = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
DECATHLON = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver"}, "tensorImageSize": "3D"}
LABELS = ("background", "liver")


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def write(root: Path, content: dict[str, Any]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def entry(scan: str, **fields: Any) -> dict[str, Any]:
    return {"image": f"imagesTr/{scan}.nii.gz", "label": "labelsTr/a.nii.gz", **fields}


def names(dataset: Dataset) -> list[str]:
    return [case.name for case in dataset.training]


def test_a_list_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
    content = json.dumps({**DECATHLON, "training": [entry("a")]}).encode()
    (tmp_path / "dataset.json").write_bytes(codecs.BOM_UTF8 + content)
    assert names(load_dataset(tmp_path)) == ["a"]


def test_a_list_in_utf_16_is_refused_as_such(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_bytes(json.dumps(DECATHLON).encode("utf-16"))
    with pytest.raises(InputError, match=r"data set dataset\.json is not valid: expected UTF-8 text, got UTF-16"):
        load_dataset(tmp_path)


def test_a_scan_is_no_data_set(tmp_path: Path) -> None:
    touch(tmp_path, "ct.nii.gz")
    with pytest.raises(InputError, match=r"expected a folder or a JSON list of cases, got a scan"):
        load_dataset(tmp_path / "ct.nii.gz")


# nnU-Net


def test_nnunet_v1_lists_name_cases_and_folders_hold_their_first_channel(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/la_000_0000.nii.gz", "labelsTr/la_000.nii.gz", "imagesTs/la_001_0000.nii.gz")
    training = [{"image": "./imagesTr/la_000.nii.gz", "label": "./labelsTr/la_000.nii.gz"}]
    content = {**DECATHLON, "training": training, "test": ["./imagesTs/la_001.nii.gz"]}
    dataset = load_dataset(write(tmp_path, content))
    assert (names(dataset), dataset.training[0].image.name) == (["la_000"], "la_000_0000.nii.gz")
    assert (dataset.test[0].name, dataset.test[0].image.name) == ("la_001", "la_001_0000.nii.gz")


def test_nnunet_v1_folders_of_several_channels_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz")
    with pytest.raises(InputError, match=r'"a": expected one image channel, got 2 \(a_0000.nii.gz, a_0001.nii.gz\)'):
        load_dataset(write(tmp_path, {**DECATHLON, "training": [entry("a")]}))


def nnunet_listing(root: Path, image: str, label: str) -> Path:
    return write(root, {**NNUNET, "dataset": {"a": {"images": [image], "label": label}}})


def test_nnunet_v2_lists_files_by_absolute_path_and_in_other_folders(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/ct.nii.gz", "elsewhere/seg.nii.gz")
    root = nnunet_listing(
        tmp_path / "raw" / "Dataset001", str(tmp_path / "elsewhere/ct.nii.gz"), "../../elsewhere/seg.nii.gz"
    )
    (case,) = load_dataset(root).training
    assert (case.name, case.image) == ("a", tmp_path / "elsewhere/ct.nii.gz")
    assert case.label is not None
    assert case.label.resolve() == tmp_path / "elsewhere/seg.nii.gz"  # type: ignore[union-attr]


@pytest.mark.parametrize("variable", ["${nnUNet_raw}", "$nnUNet_raw"])
def test_nnunet_v2_paths_may_name_environment_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    touch(tmp_path, "raw/ct.nii.gz", "raw/seg.nii.gz")
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    root = nnunet_listing(tmp_path / "set", f"{variable}/ct.nii.gz", f"{variable}/seg.nii.gz")
    assert load_dataset(root).training[0].image == tmp_path / "raw" / "ct.nii.gz"


def test_an_environment_variable_that_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("nnUNet_raw", raising=False)
    root = nnunet_listing(tmp_path, "${nnUNet_raw}/ct.nii.gz", "${nnUNet_raw}/seg.nii.gz")
    with pytest.raises(InputError, match=r"variable nnUNet_raw, which is not set; set it \(export nnUNet_raw=FOLDER\)"):
        load_dataset(root)


def test_nnunet_images_without_a_channel_number_are_read(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/amos_0001.nii.gz", "labelsTr/amos_0001.nii.gz")
    assert names(load_dataset(write(tmp_path, NNUNET))) == ["amos_0001"]


def test_upper_case_endings_count_in_folders_and_lists(tmp_path: Path) -> None:
    touch(tmp_path / "folders", "imagesTr/B_0000.NII.GZ", "labelsTr/B.Nii.gz")
    assert names(load_dataset(write(tmp_path / "folders", NNUNET))) == ["B"]
    touch(tmp_path / "list", "A.NII.GZ", "labels/A.NII")
    content = {**DECATHLON, "training": [{"image": "A.NII.GZ", "label": "labels/A.NII"}]}
    assert names(load_dataset(write(tmp_path / "list", content))) == ["A"]


# Several channels


SEVERAL = {
    "modality beside a training list": {**DECATHLON, "modality": {"0": "T1", "1": "T2"}, "training": [entry("a")]},
    "channel_names beside a training list": {
        **DECATHLON, "channel_names": {"0": "T1", "1": "T2"}, "training": [entry("a")],
    },
    "channel_names": {**NNUNET, "channel_names": {"0": "T1", "1": "T2"}},
    "modality as a list": {**DECATHLON, "modality": ["T1", "T2"], "training": [entry("a")]},
    "two images": {**DECATHLON, "training": [entry("a", image=["imagesTr/a.nii.gz", "imagesTr/b.nii.gz"])]},
    "image2": {"labels": list(LABELS), "training": [entry("a", image2="imagesTr/b.nii.gz")]},
    "image_2": {"labels": list(LABELS), "training": [entry("a", image_2=["imagesTr/b.nii.gz"])]},
    "second file": NNUNET,
}  # fmt: skip


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_channels_are_refused_in_every_layout_with_what_to_do(tmp_path: Path, kind: str) -> None:
    files = ("a_0000", "a_0001") if kind == "second file" else ("a_0000", "a", "b")
    touch(tmp_path, *(f"imagesTr/{file}.nii.gz" for file in files), "labelsTr/a.nii.gz")
    with pytest.raises(InputError, match=r"expected one image channel, got .*list the images of that channel alone"):
        load_dataset(write(tmp_path, SEVERAL[kind]))


def test_the_advice_for_several_channels_can_be_followed(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz")
    dataset = load_dataset(write(tmp_path, {"labels": list(LABELS), "training": [entry("a_0001")]}))
    assert dataset.training[0].image.name == "a_0001.nii.gz"


def test_files_under_another_key_are_left_unread_with_a_warning(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
    training = [entry("a", t2="imagesTr/b.nii.gz", weight=0.5, comment="good")]
    dataset = load_dataset(write(tmp_path, {"labels": list(LABELS), "training": training}))
    assert dataset.warnings == ('the list also names files as "t2": only "image" and "label" are read',)


def test_an_entry_with_two_label_maps_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
    training = [entry("a", label=["labelsTr/a.nii.gz", "labelsTr/a.nii.gz"])]
    with pytest.raises(InputError, match="expected one label map, got 2; merge them"):
        load_dataset(write(tmp_path, {**DECATHLON, "training": training}))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"img": "a.nii.gz"}, r'training\[0\]: expected "image", got "img"'),
        (7, r"training\[0\]: expected a path or a mapping, got int"),
        ({"image": "/", "label": "/"}, "leaves the data set's folder"),
        ({"image": "", "label": ""}, "no label map is listed|neither .nii nor .nii.gz"),
        ({"image": "a.nii.gz", "label": 3}, r"training\[0\]\.label: expected a path, got int"),
        ({"image": "a.nii.gz", "label": "b.nii.gz", "fold": "1"}, r"fold: expected a whole number, got str"),
    ],
)
def test_an_entry_that_is_none_is_refused_by_its_place_or_name(tmp_path: Path, broken: object, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load_dataset(write(tmp_path, {**DECATHLON, "training": [broken]}))


# Names of cases


def test_a_channel_number_is_no_part_of_a_cases_name(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz", "labelsTr/a.nii.gz", "labelsTr/b.nii.gz")
    training = [entry("a_0000"), entry("b_0000", label="labelsTr/b.nii.gz")]
    assert names(load_dataset(write(tmp_path, {**DECATHLON, "training": training}))) == ["a", "b"]


def test_four_digits_that_number_cases_stay(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{folder}/amos_000{n}.nii.gz" for folder in ("imagesTr", "labelsTr") for n in (0, 1)))
    training = [entry(f"amos_000{n}", label=f"labelsTr/amos_000{n}.nii.gz") for n in (0, 1)]
    assert names(load_dataset(write(tmp_path, {**DECATHLON, "training": training}))) == ["amos_0000", "amos_0001"]


# Unlabelled scans, modality


@pytest.mark.parametrize("key", ["unlabeled", "unlabelled"])
def test_unlabelled_scans_are_kept_apart_and_need_not_be_there(tmp_path: Path, key: str) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
    more = [{"image": "imagesTr/b.nii.gz"}, "imagesTr/c.nii.gz"]
    dataset = load_dataset(write(tmp_path, {**DECATHLON, "training": [entry("a")], key: more}))
    assert [case.name for case in dataset.unlabelled] == ["b", "c"]
    assert names(dataset) == ["a"]


def test_an_unlabelled_scan_changes_no_other_cases_name(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "more/a.nii.gz")
    dataset = load_dataset(write(tmp_path, {**DECATHLON, "training": [entry("a")], "unlabeled": ["more/a.nii.gz"]}))
    assert names(dataset) == ["a"]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("CT",), Modality.CT), (("ct",), Modality.CT), (("CT scan",), Modality.CT), (("MRI",), Modality.MR),
        (("MR",), Modality.MR), (("T1",), Modality.MR), (("T2-FLAIR",), Modality.MR), (("t1ce",), Modality.MR),
        (("CT, MR",), None), (("zscore",), None), (("PET",), None), ((), None), (("correct",), None),
    ],
)  # fmt: skip
def test_words_for_a_modality_are_understood_and_others_left_alone(
    words: tuple[str, ...], meant: Modality | None
) -> None:
    assert modality_of(words) is meant


# Folders without a list


def test_folders_of_images_and_labels_need_no_list(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesVa/b.nii.gz", "labelsVa/b.nii.gz")
    touch(tmp_path, "imagesTs/c.nii.gz")
    dataset = load_dataset(tmp_path, labels=LABELS)
    assert (dataset.labels, names(dataset)) == (LABELS, ["a"])
    assert [case.name for case in dataset.validation] == ["b"]
    assert (dataset.test[0].name, dataset.test[0].label) == ("c", None)


def test_folders_without_a_list_follow_the_channel_numbers_too(tmp_path: Path) -> None:
    touch(tmp_path, "images/a_0000.nii.gz", "labels/a.nii.gz", "images/amos_0003.nii.gz", "labels/amos_0003.nii.gz")
    assert names(load_dataset(tmp_path, labels=LABELS)) == ["a", "amos_0003"]


def test_without_a_list_the_task_names_the_labels(tmp_path: Path) -> None:
    touch(tmp_path, "p1/ct.nii.gz", "p1/labels.nii.gz")
    with pytest.raises(
        InputError, match=r"it names no labels; give a task that does \(--task; evaluate also takes --labels\)"
    ):
        load_dataset(tmp_path)


def test_one_folder_for_each_patient_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "p1/ct.nii.gz", "p1/labels.nii.gz", "p2/ct.NII.GZ", "p2/ct_seg.nii")
    dataset = load_dataset(tmp_path, labels=LABELS)
    assert names(dataset) == ["p1", "p2"]
    assert [case.label.name for case in dataset.training if case.label] == ["labels.nii.gz", "ct_seg.nii"]
    assert list_dataset(tmp_path, labels=LABELS).layout == "a folder for each patient"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (("t1.nii.gz", "t2.nii.gz", "seg.nii.gz"), r'"p1": expected one image, got 2 \(t1.nii.gz, t2.nii.gz\)'),
        (("ct.nii.gz",), '"p1": found no label map; call it labels.nii.gz'),
        (("ct.nii.gz", "seg.nii.gz", "mask.nii.gz"), '"p1": expected one label map or one folder of masks, found more'),
        (("seg.nii.gz",), '"p1": image "ct.nii.gz" does not exist'),
    ],
)
def test_a_patients_folder_that_leaves_a_doubt_is_named(tmp_path: Path, files: tuple[str, ...], reason: str) -> None:
    touch(tmp_path, *(f"p1/{file}" for file in files), "p2/ct.nii.gz", "p2/labels.nii.gz")
    with pytest.raises(InputError, match=reason) as caught:
        load_dataset(tmp_path, labels=LABELS)
    assert "1 broken" in str(caught.value)


def test_patients_without_any_label_map_are_scans_to_test_on(tmp_path: Path) -> None:
    touch(tmp_path, "p1/ct.nii.gz", "p2/ct.nii.gz")
    dataset = load_dataset(tmp_path, labels=LABELS)
    assert ([case.name for case in dataset.test], dataset.training) == (["p1", "p2"], ())


def test_a_folder_that_is_no_data_set_names_the_lists_in_it(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz")
    with pytest.raises(InputError, match=r"found none; docs/data\.md shows"):
        load_dataset(tmp_path)
    (tmp_path / "fold0.json").write_text("{}")
    with pytest.raises(InputError, match=r"found none; give one of its lists: fold0\.json"):
        load_dataset(tmp_path)
