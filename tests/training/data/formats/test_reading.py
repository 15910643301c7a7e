"""The layout of a data set is recognised by its content, and what is none is refused by name."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest
from bedside.runtime.errors import InputError
from bedside.training.data.dataset import load_dataset
from bedside.training.data.formats.reading import is_dataset

from .layouts import DECATHLON, NNUNET, entry, names, touch, write


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


def test_a_folder_that_is_no_data_set_names_the_lists_in_it(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz")
    with pytest.raises(InputError, match=r"found none; docs/data\.md shows"):
        load_dataset(tmp_path)
    (tmp_path / "fold0.json").write_text("{}")
    with pytest.raises(InputError, match=r"found none; give one of its lists: fold0\.json"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("content", [NNUNET, {**DECATHLON, "training": []}, {"anything": 1}])
def test_a_list_and_its_folder_both_are_the_data_set(tmp_path: Path, content: dict[str, object]) -> None:
    write(tmp_path, content)
    assert is_dataset(tmp_path)
    assert is_dataset(tmp_path / "dataset.json")


@pytest.mark.parametrize("files", [("imagesTr/a.nii", "labelsTr/a.nii"), ("p1/ct.nii", "p2/ct.nii")])
def test_folders_of_scans_are_a_data_set_without_a_list(tmp_path: Path, files: tuple[str, ...]) -> None:
    touch(tmp_path, *files)
    assert is_dataset(tmp_path)


@pytest.mark.parametrize("name", ["a.nii.gz", "notes.txt"])
def test_label_maps_and_other_files_are_no_data_set(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    assert not is_dataset(tmp_path)
    assert not is_dataset(tmp_path / name)
    assert not is_dataset(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("files", "label_maps"), [(("a.nii.gz",), True), (("imagesTr/a_0000.nii.gz",), False), ((), False)]
)
def test_label_maps_that_nnunet_predicted_are_no_data_set_for_its_list(
    tmp_path: Path, files: list[str], label_maps: bool
) -> None:
    touch(tmp_path, *files)
    write(tmp_path, NNUNET)
    assert is_dataset(tmp_path) is not label_maps


def test_scans_beside_a_list_that_names_them_are_a_data_set(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz")
    for content in (DECATHLON, {**NNUNET, "dataset": {"a": {"images": ["a.nii.gz"], "label": "b.nii.gz"}}}):
        write(tmp_path, content)
        assert is_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    assert is_dataset(tmp_path)  # its reader says what is wrong with it


def test_a_list_of_another_kind_is_refused_with_its_first_fields(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'at the top, got "a", "b", "c", …; give another file'):
        load_dataset(write(tmp_path, dict.fromkeys("abcd", 1)))
