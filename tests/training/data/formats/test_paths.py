from __future__ import annotations

from pathlib import Path

import pytest
from bedside.runtime.errors import InputError
from bedside.training.data.dataset import load_dataset
from bedside.training.data.formats.paths import Paths

from .layouts import DECATHLON, entry, names, nnunet_listing, touch, write


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


@pytest.mark.parametrize("listed", ["../a.nii", "b/../../a.nii", "/a.nii"])
def test_a_path_out_of_the_folder_is_an_error_of_its_case_where_paths_stay_inside(tmp_path: Path, listed: str) -> None:
    inside = Paths(tmp_path / "set", stays_inside=True).case([listed], None)
    assert len(inside.broken) == 1
    assert inside.broken[0].startswith("its path leaves the data set's folder")
    assert Paths(tmp_path / "set").case([listed], None).broken == ()


def test_a_path_that_leads_back_into_the_folder_stays_inside(tmp_path: Path) -> None:
    case = Paths(tmp_path, stays_inside=True).case(["images/../a.nii"], "./labels//a.nii")
    assert (case.image, case.label, case.broken) == (tmp_path / "a.nii", tmp_path / "labels" / "a.nii", ())


def test_an_error_of_image_and_label_map_is_given_once(tmp_path: Path) -> None:
    case = Paths(tmp_path, stays_inside=True).case(["../a.nii"], "../b.nii")
    assert len(case.broken) == 1


def test_a_dollar_sign_is_a_part_of_the_name_where_lists_have_no_variables(tmp_path: Path) -> None:
    assert Paths(tmp_path).case(["$HOME/a.nii"], None).image == tmp_path / "$HOME" / "a.nii"
