from __future__ import annotations

from pathlib import Path

import pytest
from bedside.training.data.dataset import load_dataset
from bedside.training.data.formats.paired_folders import pair_files

from .layouts import LABELS, names, touch


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


@pytest.mark.parametrize(("channels", "missing"), [(False, "b.nii.gz"), (True, "b_0000.nii.gz")])
def test_a_file_without_its_partner_is_listed_with_the_path_of_the_missing_one(
    tmp_path: Path, channels: bool, missing: str
) -> None:
    touch(tmp_path, "images/a.nii", "labels/b.nii")
    a, b = pair_files(tmp_path / "images", tmp_path / "labels", channels=channels)
    assert (a.name, a.label) == ("a", tmp_path / "labels" / "a.nii.gz")
    assert (b.name, b.image) == ("b", tmp_path / "images" / missing)


def test_a_scan_that_needs_no_label_map_has_one_if_there_is_one(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "images/b.nii", "labels/b.nii")
    cases = pair_files(tmp_path / "images", tmp_path / "labels", needs_label=False)
    assert [case.label for case in cases] == [None, tmp_path / "labels" / "b.nii"]


def test_several_channels_of_a_case_break_that_case_alone(tmp_path: Path) -> None:
    touch(tmp_path, *(f"images/{name}.nii" for name in ("a_0000", "a_0001", "b_0000")), "labels/a.nii", "labels/b.nii")
    a, b = pair_files(tmp_path / "images", tmp_path / "labels")
    assert a.broken[0].startswith("expected one image channel, got 2 (a_0000.nii, a_0001.nii); bedside reads one")
    assert b.broken == ()


@pytest.mark.parametrize("files", [("a_0000.nii", "a_0000.nii.gz"), ("a.nii", "a_0000.nii"), ("a.nii", "a.nii.gz")])
def test_a_scan_that_is_stored_twice_is_told_from_two_channels(tmp_path: Path, files: tuple[str, str]) -> None:
    touch(tmp_path, *(f"images/{name}" for name in files), "labels/a.nii")
    (a,) = pair_files(tmp_path / "images", tmp_path / "labels")
    assert a.broken == (f"expected one image, got 2 ({files[0]}, {files[1]}); leave one in the folder",)


def test_two_label_maps_of_a_name_break_that_case_alone(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "labels/a.nii", "labels/a.nii.gz", "images/b.nii", "labels/b.nii")
    for needs_label in (True, False):
        a, b = pair_files(tmp_path / "images", tmp_path / "labels", needs_label=needs_label)
        assert a.broken == ("expected one label map, got 2 (a.nii, a.nii.gz); leave one in the folder",)
        assert b.broken == ()


def test_folders_that_do_not_exist_hold_no_cases(tmp_path: Path) -> None:
    assert pair_files(tmp_path / "images", tmp_path / "labels") == ()
