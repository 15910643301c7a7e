from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bedside.runtime.errors import InputError
from bedside.training.data.dataset import load_dataset

from .layouts import DECATHLON, LABELS, NNUNET, entry, names, touch, write

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


@pytest.mark.parametrize("cases", [[entry("b")], ["imagesTr/b.nii.gz"], [{}, {"image": ["b.nii"]}]])
@pytest.mark.parametrize("key", ["val", "Validation", "validating"])
def test_cases_under_an_unknown_key_are_left_unread_with_a_warning(tmp_path: Path, key: str, cases: list[Any]) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
    dataset = load_dataset(write(tmp_path, {**DECATHLON, "training": [entry("a")], key: cases}))
    assert dataset.validation == ()
    assert dataset.warnings == (
        f'the list also names cases under "{key}", which are left unread: bedside reads "training", "validation", '
        '"test" and "unlabeled"',
    )


def test_other_lists_and_empty_ones_are_no_cases(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
    more = {"val": [], "authors": ["A", "B"], "sizes": [[1, 2]], "notes": [{"text": "b.nii.gz"}]}
    dataset = load_dataset(write(tmp_path, {**DECATHLON, "training": [entry("a")], "testing": [], **more}))
    assert dataset.warnings == ()


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


@pytest.mark.parametrize("key", ["unlabeled", "unlabelled"])
def test_unlabelled_scans_are_kept_apart_and_need_not_be_there(tmp_path: Path, key: str) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
    more = [{"image": "imagesTr/b.nii.gz"}, "imagesTr/c.nii.gz"]
    dataset = load_dataset(write(tmp_path, {**DECATHLON, "training": [entry("a")], key: more}))
    assert [case.name for case in dataset.unlabelled] == ["b", "c"]
    assert names(dataset) == ["a"]


@pytest.mark.parametrize(
    ("value", "kind"), [({"a": "imagesTr/b.nii.gz"}, "dict"), ("imagesTr/b.nii.gz", "str"), (3, "int")]
)
def test_unlabelled_scans_that_are_no_list_are_refused(tmp_path: Path, value: object, kind: str) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
    path = write(tmp_path, {**DECATHLON, "training": [entry("a")], "unlabeled": value})
    with pytest.raises(InputError, match=f"unlabeled: expected a list of paths, got {kind}"):
        load_dataset(path)


def test_an_unlabelled_scan_changes_no_other_cases_name(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "more/a.nii.gz")
    dataset = load_dataset(write(tmp_path, {**DECATHLON, "training": [entry("a")], "unlabeled": ["more/a.nii.gz"]}))
    assert names(dataset) == ["a"]
